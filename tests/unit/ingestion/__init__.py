"""Tests of the local ingestion service."""
