"""The inventory as an OpenAPI 3.1 document, and what differs between two of them."""
