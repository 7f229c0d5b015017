"""The first commands of the README on a stock Debian; `make fresh` runs them, without other packages."""
