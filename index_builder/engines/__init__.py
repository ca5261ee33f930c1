"""Who runs the tracks of a build: processes on this machine."""
