"""Helpers that tests share: real processes and peers."""
