"""Outbound guard: which addresses the gateway connects to, DNS lookups, and the probe of image URLs."""
