"""Common parts of all recognizers: their interface, transcript events, languages.

Plain values; no model and no sound file is opened here.
Imports `audio` and everything below `speech`.
"""
