"""Generations, their callbacks and their change feed in Redis."""
