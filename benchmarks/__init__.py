"""Benchmarks of the cost of mirroring: `python -m benchmarks --help`, or `make bench`."""
