"""Plain values that every other folder may use: records, units, checks, progress, text for a screen.

No side effects but reading or writing one file that a caller names.
Imports only `errors`.
"""
