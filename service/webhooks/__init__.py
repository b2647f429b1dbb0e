"""Sends webhooks to tenants' receivers, and signs those in fal's format."""
