"""Where state that outlives a request is kept."""
