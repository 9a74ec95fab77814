"""What this device has and can do: doctor, speed, plans compared with reality, speech, pictures.

Measures; changes nothing.
Imports `assistant` and below.
"""
