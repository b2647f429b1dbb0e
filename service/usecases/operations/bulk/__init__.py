"""Bulk jobs of operators: preview what matches a filter, act on all of it by the workers, follow and stop the job."""
