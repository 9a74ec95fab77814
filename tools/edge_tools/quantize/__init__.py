"""GGUF files in smaller types, by llama.cpp's own quantizer; a type for each class of weights.

made = quantize("model-bf16.gguf", "model.gguf", QuantizeOptions(recipe="edge-2gb"))
print(made.size_bytes, made.plan.total_bytes)
"""

from .decide import Tried
from .options import QuantizeOptions
from .quantize import quantize
from .recipes import Recipe, Row, recipe_named
from .result import Quantized
from .type_names import TYPES, QuantType, type_named

__all__ = [
    "TYPES",
    "QuantType",
    "QuantizeOptions",
    "Quantized",
    "Recipe",
    "Row",
    "Tried",
    "quantize",
    "recipe_named",
    "type_named",
]
