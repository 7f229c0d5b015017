"""Shows the outcome of each flow in mitmproxy and mitmweb, and serves the counts over HTTP."""
