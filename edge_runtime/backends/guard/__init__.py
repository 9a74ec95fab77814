"""The crash guard: a child process tries each library build and each model file first.

Remembers the results in the user's cache folder.
Imports `backends/llama` and below.
"""
