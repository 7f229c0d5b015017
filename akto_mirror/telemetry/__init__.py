"""What the mirror does, seen from outside: one observation, and its metrics over HTTP."""
