"""Decoded media in, sequences of numbers out: the frozen extractors, their profiles and their store."""
