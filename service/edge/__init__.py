"""Bytes of a connection in, requests that may come in out: limits, keys, links, the log."""
