"""Tests of HTTP/2 without TLS."""
