"""Tests of the modules that make entries of flows."""
