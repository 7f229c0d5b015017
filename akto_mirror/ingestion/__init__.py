"""A local ingestion service that answers as Akto's does, with an inventory of what arrived and its page.

It stands in for Akto in the demo, in `akto-mirror sink` and in tests, and knows nothing of mitmproxy.
"""
