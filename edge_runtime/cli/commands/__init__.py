"""The commands, one module each: add_parser() declares it, run() does it.

Modules are imported by name from `cli/main.py`.
Imports `cli/screen`, `cli/options` and everything below `cli`.
"""
