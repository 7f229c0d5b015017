"""Parses the options into one frozen `Settings`."""
