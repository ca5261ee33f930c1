"""Finished ads, lists or synthetic worlds in, dataset folders of pairs and features out."""
