"""What mitmproxy's HTTP layer lacks for uploads: answers that come early, and framing without a length."""
