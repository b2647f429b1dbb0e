"""``generate``: an HTTP client of the gateway."""
