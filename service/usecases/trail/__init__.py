"""The audit trail: recording acts, reading and verifying entries."""
