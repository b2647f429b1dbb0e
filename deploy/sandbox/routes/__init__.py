"""Routes: one module per host of fal, each under a path prefix, and one for the sandbox itself."""
