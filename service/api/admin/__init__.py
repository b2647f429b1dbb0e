"""``/admin/v1``: the API of operators."""
