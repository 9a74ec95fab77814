"""Differences between two GGUF files, in metadata and in weights.

difference = diff_models("original.gguf", "quantized.gguf")
print(difference.tensors[0].error)  # the worst
"""

from .difference import Difference, MetadataChange, TensorChange, TensorError
from .models import diff_models

__all__ = ["Difference", "MetadataChange", "TensorChange", "TensorError", "diff_models"]
