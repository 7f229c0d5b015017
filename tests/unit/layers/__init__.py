"""Tests of what stands in for mitmproxy's layers."""
