"""A seed in, adverts and music with known factors out."""
