"""Renders payloads as Akto's runtime can use them best: decoded by format, and closed if they were cut.

One module for each format. All are pure, bounded and linear, and raise nothing for any data of clients and servers.
`render` is the interface; the others close payloads of one format each, and yield their leaves.
"""
