"""The development stack: ``demo``, ``up``, ``listen``."""
