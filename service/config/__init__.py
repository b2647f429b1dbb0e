"""Configuration: settings from the environment, the kinds of values they take, Redis URLs."""
