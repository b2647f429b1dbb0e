"""Dashboards and alerts as code: ``python -m monitoring`` writes what Grafana and Prometheus load."""
