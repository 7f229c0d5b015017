"""HAR files as flows, entry by entry, as their makers really write them."""
