"""Operators: management and authentication."""
