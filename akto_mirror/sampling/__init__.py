"""Decides which exchanges to send: all that show something new and a few others; counts the rest (pure)."""
