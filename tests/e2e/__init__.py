"""End to end: real processes, servers and clients."""
