"""Which exchanges are worth sending: everything new, a few of what is known, and an account of the rest (pure)."""
