"""The nouns and their rules: pure, no clock, no I/O."""
