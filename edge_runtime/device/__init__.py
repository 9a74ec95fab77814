"""This machine: processor, memory limits, memory of this process, user folders, child processes.

Asks the operating system; keeps nothing.
Imports `values` and `errors`.
"""
