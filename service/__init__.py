"""Seedance Gateway: the HTTP gateway, and the core it shares with the workers."""
