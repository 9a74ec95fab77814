"""Slicing (MatFormer): a smaller Gemma 3n cut out of a larger one, without requantizing a weight.

slice_model("gemma-3n-e4b.gguf", "gemma-3n-e2b.gguf", SliceOptions(to="e2b"))
"""

from .options import SliceOptions, parse_layers
from .slice import Extent, Sliced, slice_model

__all__ = ["Extent", "SliceOptions", "Sliced", "parse_layers", "slice_model"]
