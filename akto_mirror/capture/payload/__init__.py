"""Renders payloads so that Akto's runtime can read them: decoded, and closed if they were cut.

All modules are pure, bounded and linear; whatever clients and servers send, they raise only documented errors. `render`
is the interface; below it, each format has a module that closes its payloads and finds their values.
"""
