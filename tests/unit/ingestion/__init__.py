"""Tests of the local ingestion service's inventory."""
