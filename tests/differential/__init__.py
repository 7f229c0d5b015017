"""Differential tests: the same exchanges through plain mitmdump and through mitmdump with the addon."""
