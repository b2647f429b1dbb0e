"""Logs, metrics and traces. Imports nothing else of the service but its errors."""
