"""The command line: `main.py` parses and returns the exit status; one module a command in `commands/`.

`options/` turns flags into values, `screen/` is what a person sees.
Imports every other folder; none imports it.
"""
