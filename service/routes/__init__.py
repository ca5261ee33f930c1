"""HTTP in, HTTP out: each route only translates."""
