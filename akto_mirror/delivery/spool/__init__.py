"""Batches that survive the process, and the entries that Akto refused for good."""
