"""`akto-mirror run`: mitmdump with the addon, at about half the CPU time per request."""
