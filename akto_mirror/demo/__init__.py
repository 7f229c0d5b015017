"""The demo: a sample API, a local ingestion service, and mitmdump between them."""
