"""Tests of the addon's hooks and commands."""
