"""Recorded traffic, made by hand to the shape that each maker documents."""
