"""Long work asked for in, jobs done out: records with a lease, a worker, a reindex."""
