"""Tests of the inventory's page in a real browser."""
