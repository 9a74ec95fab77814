"""Measurements of this device: doctor, speed, plans compared with reality, speech, pictures.

Measures; changes nothing.
Imports `assistant` and below.
"""
