"""Redis and only Redis: records, indexes and due sets, each verb one script."""
