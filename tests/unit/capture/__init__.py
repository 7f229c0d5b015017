"""Tests of the modules that turn flows into entries."""
