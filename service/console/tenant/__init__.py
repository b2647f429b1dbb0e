"""Pages of one tenant, for callers who log in with its API key."""
