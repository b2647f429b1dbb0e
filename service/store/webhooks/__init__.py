"""Webhook endpoints and deliveries in Redis."""
