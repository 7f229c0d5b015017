"""Tests of the runner's modules."""
