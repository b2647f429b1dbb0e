"""Account-wide state for metrics, and heartbeats of processes."""
