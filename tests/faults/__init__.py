"""Failures of Akto and the disk, and delivery driven step by step."""
