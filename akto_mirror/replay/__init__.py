"""Applies the addon's rules to recorded traffic in flow files and HAR files: ships, shows or returns the entries."""
