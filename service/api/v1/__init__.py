"""``/v1``: the native API of tenants."""
