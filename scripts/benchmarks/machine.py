"""One line about where the figures come from."""

from __future__ import annotations

import platform

from edge_runtime.backends.llama import library_info
from edge_runtime.device.device import read_device
from edge_runtime.values.units import format_bytes


def describe_machine() -> str:
    device = read_device()
    total_bytes = device.memory.total_bytes
    return (
        f"{device.cpu.model or device.cpu.architecture}, {device.default_threads} threads, "
        f"{format_bytes(total_bytes) if total_bytes else 'unknown'} RAM, {device.system}, "
        f"Python {platform.python_version()}, llama-cpp-python {library_info().version}"
    )
