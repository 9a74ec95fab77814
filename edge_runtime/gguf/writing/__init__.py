"""Writing GGUF files: the header from values, the data piece by piece, the name when all is there."""

from .header_bytes import ALIGNMENT_BYTES, HeaderValue, RawValue
from .raw_values import as_in, raw_metadata
from .write import NewTensor, padded, write_gguf

__all__ = [
    "ALIGNMENT_BYTES",
    "HeaderValue",
    "NewTensor",
    "RawValue",
    "as_in",
    "padded",
    "raw_metadata",
    "write_gguf",
]
