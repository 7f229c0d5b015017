"""Turns a flow into an entry, or a reason why it is skipped; uses mitmproxy's types, and does no I/O."""
