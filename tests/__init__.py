"""Tests of akto-mirror."""
