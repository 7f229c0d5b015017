"""Reads HAR files as flows, entry by entry, including the deviations of the programs that write them."""
