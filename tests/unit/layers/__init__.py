"""Tests of the layers that replace mitmproxy's."""
