"""Pretrained networks in, frozen ONNX graphs out: which ones, whence, and their folders."""
