"""Groups of settings, one module for each noun. ``Settings`` inherits all of them; the names share one prefix."""
