"""Offline: a music pool and a bundle in, an immutable snapshot out."""
