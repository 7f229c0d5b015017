"""Decides what is secret: names by their words, and values by their form. Independent of formats, no I/O."""
