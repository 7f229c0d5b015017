"""A local ingestion service that responds as Akto's does, with an inventory of the received entries and a web page.

It replaces Akto in the demo, in `akto-mirror sink` and in tests, and does not depend on mitmproxy.
"""
