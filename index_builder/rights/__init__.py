"""Licences and withdrawals by track id, beside the snapshots: versions that only grow, masks for queries."""
