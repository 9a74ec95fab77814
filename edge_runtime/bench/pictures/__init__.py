"""Plans and quality reports as PNG and SVG pictures.

The only folder that imports matplotlib.
Imports `memory` and `values`.
"""
