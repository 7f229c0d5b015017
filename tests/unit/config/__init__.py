"""Tests of the modules that read the options."""
