"""A generation from queued to its end: dispatch, poll, copy, deadlines; each state change in one place."""
