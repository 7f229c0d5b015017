"""The README's first commands, on a stock Debian; `make fresh` runs them and needs no Python packages."""
