"""The checkpoint that is converted: its files, settings, tokenizer and weights.

Everything read here is untrusted and checked.
Imports nothing else of `convert`.
"""
