"""Renders payloads as Akto's runtime can use them best: decoded by format, and closed if they were cut.

One module a format. All of it is pure: bytes and text in, bytes and text out, bounded and linear, nothing raised for
what clients and servers send. `render` is the front; the others close, and give the leaves of, one format each.
"""
