"""The dispatch gate in Redis: pauses, locks and the submit window."""
