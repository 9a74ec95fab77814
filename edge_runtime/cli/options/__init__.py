"""Command-line flags: adding them to a parser and turning them into values.

Names a wrong value by its option.
Imports `cli/screen` and everything below `cli`.
"""
