"""Tests of what mitmproxy shows of a flow."""
