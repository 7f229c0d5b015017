"""Payloads by their formats."""
