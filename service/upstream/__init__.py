"""HTTP client for fal, and the translation of its responses into outcomes."""
