"""Files in, frames, grey motion and samples out: the only place that touches FFmpeg."""
