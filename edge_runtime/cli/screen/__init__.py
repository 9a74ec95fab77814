"""Terminal output and input: answers, captions, tables, progress, errors.

Answers go to stdout, all else to stderr.
Imports everything below `cli`.
"""
