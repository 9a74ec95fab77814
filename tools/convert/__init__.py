"""Hugging Face checkpoints to GGUF on the device itself: no torch, no transformers, little memory.

convert("SmolLM2-135M-Instruct", "smollm2.gguf", "q8_0")
"""

from .convert import TYPES, Converted, convert
from .families import FAMILIES

__all__ = ["FAMILIES", "TYPES", "Converted", "convert"]
