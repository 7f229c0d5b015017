"""What mirroring costs: `python -m benchmarks --help`, or `make bench`."""
