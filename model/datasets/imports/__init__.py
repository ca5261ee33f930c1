"""Features that came from elsewhere in, a dataset folder out: one module for each way they may lie."""
