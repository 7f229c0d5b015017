"""`akto-mirror run`: mitmdump with the addon, at about half its cost a request."""
