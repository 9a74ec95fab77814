"""Hugging Face checkpoints to GGUF on the device itself: no torch, no transformers, little memory.

convert("SmolLM2-135M-Instruct", "smollm2.gguf", "q8_0")
convert_adapter("my-lora", "my-lora.gguf", base="SmolLM2-135M-Instruct")
"""

from .convert import TYPES, convert
from .convert_adapter import ADAPTER_TYPES, convert_adapter
from .families import FAMILIES
from .written import Converted

__all__ = ["ADAPTER_TYPES", "FAMILIES", "TYPES", "Converted", "convert", "convert_adapter"]
