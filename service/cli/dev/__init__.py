"""Commands for development: ``demo``, ``up``, ``listen``."""
