"""Conversations: messages that fit a context, history on disk, saved model state.

What grows into an assistant.
Imports `speech`, `runtime` and below.
"""
