"""One JSON object a line, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...values.display_text import clean
from ..recognition.transcript import TranscriptEvent, TranscriptWord


class JsonLines:
    """Every event, partials too. Times in seconds, to the millisecond; `words` only where asked for."""

    head = ""

    def __init__(self, *, words: bool = False, gist: bool = False, file: str | None = None) -> None:
        """gist: the text is a rough translation; each line says so. file: what each line says it is of."""
        self._has_words, self._is_gist, self._file = words, gist, file

    def take(self, event: TranscriptEvent) -> str:
        return json_line(self._fields(event))

    def finish(self) -> str:
        return ""

    def _fields(self, event: TranscriptEvent) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "type": event.kind.value,
            "start_s": round(event.start_s, 3),
            "end_s": round(event.end_s, 3),
            "text": clean(event.text),
            "language": event.language,
        }
        if self._file is not None:
            fields["file"] = clean(self._file)
        if self._has_words:
            fields["words"] = [_word(word) for word in event.words]
        if self._is_gist:
            fields["gist"] = True
        latency_s = event.commit_latency_s
        fields["commit_latency_s"] = None if latency_s is None else round(latency_s, 3)
        return fields


def json_line(fields: Mapping[str, Any]) -> str:
    return json.dumps(dict(fields), ensure_ascii=False, allow_nan=False) + "\n"


def _word(word: TranscriptWord) -> dict[str, Any]:
    return {
        "text": clean(word.text).strip(),
        "start_s": round(word.start_s, 3),
        "end_s": round(word.end_s, 3),
        "probability": round(word.probability, 3),
    }
