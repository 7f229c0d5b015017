"""Tests of a proxy with several processes."""
