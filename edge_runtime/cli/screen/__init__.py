"""What a person sees on a terminal: answers, captions, progress, errors.

Answers go to stdout, all else to stderr.
Imports everything below `cli`.
"""
