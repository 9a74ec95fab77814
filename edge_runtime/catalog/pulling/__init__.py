"""Bringing a model into the store: package index, Hugging Face, local files, conversion.

The only folder that opens a network connection.
Imports `catalog` and below.
"""
