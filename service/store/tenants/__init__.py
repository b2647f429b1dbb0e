"""Tenants, API keys, end users, rate limits and sealed secrets in Redis."""
