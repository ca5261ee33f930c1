"""What happens and how things stand in, the metrics that a Prometheus scrapes out."""
