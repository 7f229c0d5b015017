"""Diagnostics for `check` and `doctor`: the connection to Akto, and the installation."""
