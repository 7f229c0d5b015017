"""Mirror API traffic that passes through mitmproxy to Akto's data-ingestion service."""
