"""Due sets, the tenants' queues, and leases of claimed work."""
