"""Describes the inventory in an OpenAPI 3.1 document, and compares two documents."""
