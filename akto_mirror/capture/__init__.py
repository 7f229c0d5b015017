"""A flow becomes an entry, or a reason why it does not; knows mitmproxy's types, and opens nothing."""
