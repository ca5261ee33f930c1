"""The wire format: what callers may send and what they get, strictly typed, with examples."""
