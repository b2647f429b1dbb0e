"""``/fal``: what the official fal clients call, with the host and the key changed and nothing else."""
