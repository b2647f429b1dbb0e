"""HTTP in: parse, call, answer."""
