"""Analyses entries: parses their parts, and merges the entries of an endpoint. No I/O."""
