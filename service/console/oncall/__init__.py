"""Pages of operators who are on call."""
