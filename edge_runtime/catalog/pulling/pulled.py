"""What a pull has brought."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..store import FileRecord


@dataclass(frozen=True)
class Pulled:
    name: str
    path: Path  # of the file; of the folder, where the model was converted
    record: FileRecord  # of the file, or the first in the folder
    already_here: bool
