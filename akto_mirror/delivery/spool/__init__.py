"""Batches on disk, which survive the process, and the entries that Akto refused for good."""
