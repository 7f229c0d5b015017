"""Akto and the disk when they misbehave, and delivery driven step by step."""
