"""The texts of the options become one frozen `Settings`."""
