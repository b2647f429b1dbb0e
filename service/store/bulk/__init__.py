"""Bulk jobs: their records, and the ids of the items that each one processes."""
