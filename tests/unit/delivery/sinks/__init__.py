"""Unit tests of the sinks."""
