"""HTTP out to tenants: the webhook sender, and the guard that keeps it on the public internet."""
