"""Tests of one proxy in several processes."""
