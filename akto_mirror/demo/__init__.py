"""The demo: sends requests to a sample API through mitmdump, which mirrors them to a local ingestion service."""
