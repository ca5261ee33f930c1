"""ONNX graphs in, functions on arrays out: which device they run on, and never silently another."""
