"""Tests of the modules that read entries."""
