"""Pages about money and usage."""
