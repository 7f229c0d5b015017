"""The destinations of batches: HTTP, Kafka and files."""
