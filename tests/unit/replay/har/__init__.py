"""Tests of HAR files."""
