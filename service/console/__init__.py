"""The console: server-rendered pages for operators and tenants. Pages call use cases, never stores."""
