"""What becomes of flows, as mitmproxy's screens show it: marks, comments, and a content view."""
