"""A dataset with features in, a run folder with the best checkpoint out."""
