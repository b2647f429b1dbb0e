"""The Redis client: connections, pipelining, scripts, memory limits."""
