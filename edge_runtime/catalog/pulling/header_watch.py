"""A check of a GGUF file's header while the file is still arriving.

Some files on the net can never be loaded, such as those that hold a token twice: that is
known as soon as their first megabytes are here, not after gigabytes.
"""

from __future__ import annotations

import contextlib

from ...errors import ModelFileInvalid, ModelUnsupported
from ...gguf.check import check_header
from ...gguf.check_vocabulary import check_vocabulary
from ...gguf.header import GgufHeader, read_one_file
from .partial_file import PartialFile

_FIRST_LOOK_BYTES = 1 << 16
_GROWTH = 4  # from one look to the next: a header of 19 MB is read five times, in 0.3 s


class HeaderWatch:
    """Looks at a partial file whenever it has become so much larger, until its header is complete."""

    def __init__(self, partial: PartialFile, label: str) -> None:
        self._partial, self._label = partial, label
        self._is_done = partial.final.suffix.lower() != ".gguf"
        self._next_look_bytes = _FIRST_LOOK_BYTES

    def look(self, total_bytes: int) -> None:
        """To be called after each write. total_bytes: of the whole file, 0 when nobody knows.

        Raises ModelFileInvalid or ModelUnsupported, and deletes what has come, for a file that
        could not be loaded.
        """
        if self._is_done or self._partial.size_bytes < self._next_look_bytes:
            return
        self._next_look_bytes = _GROWTH * self._partial.size_bytes
        try:
            header = read_one_file(
                self._partial.path, total_bytes=total_bytes or 1 << 62, shown_as=self._partial.final
            )
            self._is_done = header is not None
            if header is not None:
                check_arriving(header)
        except (ModelFileInvalid, ModelUnsupported) as error:
            self._partial.discard()
            raise type(error)(
                f"{self._label} could not be loaded, and is not fetched further: {error}",
                hint="take another quantization of the model, or a file from another source",
                **error.facts,
            ) from error


def check_arriving(header: GgufHeader) -> None:
    """check_header() for a whole model; the vocabulary alone of the first file of a split set."""
    count = header.metadata.get("split.count", 0)
    if isinstance(count, int) and count > 1:
        check_vocabulary(header)
        return
    with contextlib.suppress(ModelUnsupported):  # no language model: there may be a use for it
        check_header(header)
