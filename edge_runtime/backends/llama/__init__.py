"""Everything that touches llama.cpp. No other module of this package imports llama_cpp."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import LlamaBackend
    from .library import LibraryInfo, library_info, supports_gpu
    from .repack import repack_type

__all__ = ["LibraryInfo", "LlamaBackend", "library_info", "repack_type", "supports_gpu"]
_HOME_OF = {"LlamaBackend": "backend", "repack_type": "repack"}


def __getattr__(name: str) -> Any:
    """Loaded when first used: the crash guard's child needs neither numpy nor the engine's side."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME_OF.get(name, 'library')}", __name__), name)
