"""Webhook events: which endpoints receive them, delivery, redelivery, endpoint health."""
