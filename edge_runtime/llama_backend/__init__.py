"""Everything that touches llama.cpp. No other module of this package imports llama_cpp."""

from .backend import LlamaBackend
from .library import LibraryInfo, library_info

__all__ = ["LibraryInfo", "LlamaBackend", "library_info"]
