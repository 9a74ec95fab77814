"""The contents of a GGUF file: metadata, weights class by class, memory plan.

print(inspect_model("gemma.gguf").bits_per_weight)
"""

from .classes import ClassSize, TypeSize, class_sizes
from .facts import architecture_facts
from .inspection import Inspection, inspect_model

__all__ = ["ClassSize", "Inspection", "TypeSize", "architecture_facts", "class_sizes", "inspect_model"]
