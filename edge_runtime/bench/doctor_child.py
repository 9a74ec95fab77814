"""Questions of `doctor` that load native code; asked in a child process where one can be started.

A library made for another CPU ends the process that loads it, and PortAudio and ALSA write
to stderr as they like.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ..device.children import run_child
from ..device.children.answer import answer_task
from ..errors import ChildUnavailable, EdgeRuntimeError

_LIMIT_S = 60.0


def ask(question: str) -> tuple[dict[str, Any] | None, str]:
    """(what was found, "") or (None, why not). Here, where no child can be started."""
    try:
        end = run_child("edge_runtime.bench.doctor_child", {"question": question}, limit_s=_LIMIT_S)
    except ChildUnavailable:
        return _ask_here(question)
    return (None, end.describe()) if end.answer is None else (end.answer, "")


def find_no_children() -> str:
    """Why no child process can be started; empty where one can: one is."""
    try:
        run_child("edge_runtime.bench.doctor_child", {"question": "alive"}, limit_s=_LIMIT_S)
    except ChildUnavailable as error:
        return str(error.facts["reason"])
    return ""


def _ask_here(question: str) -> tuple[dict[str, Any] | None, str]:
    try:
        return _QUESTIONS[question](), ""
    except EdgeRuntimeError as error:
        return None, str(error)


def _library() -> dict[str, Any]:
    from ..backends.llama.library import library_info

    return asdict(library_info())


def _audio() -> dict[str, Any]:
    from ..speech.audio import list_audio_devices

    devices = list_audio_devices()
    return {
        "inputs": [device.name for device in devices if device.input_channels],
        "outputs": [device.name for device in devices if device.output_channels],
    }


_QUESTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "alive": dict,
    "library": _library,
    "audio": _audio,
}


def main() -> int:
    return answer_task(lambda task: _QUESTIONS[task["question"]]())


if __name__ == "__main__":
    sys.exit(main())
