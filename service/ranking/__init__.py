"""A query and the pool that answers in, ranked tracks with their reasons out; no HTTP, no Redis."""
