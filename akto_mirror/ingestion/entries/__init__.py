"""What stands in an entry, and what the entries of an endpoint have in common; computes, and opens nothing."""
