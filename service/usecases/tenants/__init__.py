"""Tenants, API keys, end users and usage."""
