"""Embeddings of pairs in, ranks, recalls and their intervals out."""
