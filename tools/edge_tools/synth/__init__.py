"""Models with a real shape and random weights: for measuring memory and speed without the weights.

    write_model("e2b.gguf", shape_named("gemma-3n-e2b"), Quantizations(embedding=GgmlType.Q4_0))

Such a model loads, takes the memory and runs at the speed of the real one, and talks nonsense.
"""

from .blocks import QUANTIZATIONS
from .families.shape import Shape
from .families.weight import TensorClass, Weight
from .quantizations import Quantizations
from .scale import scaled
from .shape_file import shape_named, shape_names
from .vocabulary import DEFAULT_TOKENIZER
from .write import ClassSize, Written, weights_of, write_model

__all__ = [
    "DEFAULT_TOKENIZER",
    "QUANTIZATIONS",
    "ClassSize",
    "Quantizations",
    "Shape",
    "TensorClass",
    "Weight",
    "Written",
    "scaled",
    "shape_named",
    "shape_names",
    "weights_of",
    "write_model",
]
