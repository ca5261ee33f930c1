"""A repository on Hugging Face, or a folder from another machine, in; checked files in MODELS/sources out."""
