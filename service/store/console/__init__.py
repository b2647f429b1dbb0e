"""Sessions, login links and login attempts of the console in Redis."""
