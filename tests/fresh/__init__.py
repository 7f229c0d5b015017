"""The first commands of the README on a Debian that nobody prepared; `make fresh` runs them, without other packages."""
