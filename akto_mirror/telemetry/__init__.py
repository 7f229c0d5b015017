"""What the mirror does, as seen from outside: each flow's verdict on mitmproxy's screens, and counts over HTTP."""
