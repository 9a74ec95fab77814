"""Chat templates: rendering them in a sandbox and fitting messages into a context.

Templates are untrusted input.
Imports `values` and `errors`.
"""
