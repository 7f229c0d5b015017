"""Is the way to Akto open, and is everything here as it should be: `check` and `doctor`."""
