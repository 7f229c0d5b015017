"""Uploads answered early: mitmproxy's HTTP layer reads on within bounds, and the client has its answer."""
