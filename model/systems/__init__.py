"""One file per published system: sequences in, embeddings out."""
