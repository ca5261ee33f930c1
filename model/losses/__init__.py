"""Embeddings in, a scalar out: pure functions, one paper each."""
