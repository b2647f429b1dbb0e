"""One module per host of fal, mounted under a path prefix each, and one for the sandbox itself."""
