"""Commands of operators: use cases called directly on the store."""
