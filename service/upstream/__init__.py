"""The upstream and only the upstream."""
