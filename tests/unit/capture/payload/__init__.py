"""Tests of payloads, by format."""
