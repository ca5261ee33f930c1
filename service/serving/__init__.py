"""STORE in, the snapshot, bundle and rights that answer out, and the threads that work for requests."""
