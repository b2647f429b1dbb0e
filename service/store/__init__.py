"""State in Redis: records, indexes and due sets. Every write that concerns several keys is one script."""
