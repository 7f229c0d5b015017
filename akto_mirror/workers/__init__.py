"""Serves one proxy with several processes: a parent that starts and replaces workers, and the workers."""
