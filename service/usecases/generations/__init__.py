"""Use cases of callers: create, read, stream and cancel generations."""
