"""The default budget: memory that a runtime may safely take on this device, and its reason."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from ..device.device import DeviceMemory
from ..values.units import format_bytes

# Kept free for the rest of the system: our assumption.
_RESERVE_SHARE, _LEAST_RESERVE_BYTES = 0.05, 64_000_000
# Android kills whatever is large before memory is gone, and Java's heap limit says nothing
# about native memory: a share of what is available, below the killer's threshold. Our assumption.
_ANDROID_SHARE, _ANDROID_HEADROOM_SHARE = 0.7, 0.06


@dataclass(frozen=True)
class Budget:
    size_bytes: int | None  # None: nothing is known, so nothing is limited
    reason: str


def safe_budget(memory: DeviceMemory, system: str) -> Budget:
    """The least of what is available and what each limit leaves, less a small reserve.

    system: platform.system(), which may be "Linux" on Android.
    """
    system = system_name(system)
    bounds = [Budget(limit.free_bytes, f"the limit {limit.source} leaves") for limit in memory.limits]
    if memory.available_bytes is not None:
        bounds.append(_available(memory, memory.available_bytes, system))
    if not bounds:
        unknown = f"{system} does not say how much memory is available"
        return Budget(None, memory.unknown_because or unknown)
    least = min(bounds, key=lambda bound: bound.size_bytes or 0)
    room_bytes = least.size_bytes or 0
    reserve_bytes = min(max(int(room_bytes * _RESERVE_SHARE), _LEAST_RESERVE_BYTES), room_bytes // 2)
    reason = f"{least.reason} {format_bytes(room_bytes)}, {format_bytes(reserve_bytes)} of it stay free"
    return Budget(max(room_bytes - reserve_bytes, 1), reason)


def _available(memory: DeviceMemory, available_bytes: int, system: str) -> Budget:
    if system != "Android":
        return Budget(available_bytes, "the system has available")
    headroom_bytes = int((memory.total_bytes or 0) * _ANDROID_HEADROOM_SHARE)
    room_bytes = int(max(available_bytes - headroom_bytes, 0) * _ANDROID_SHARE)
    return Budget(room_bytes, "Android tolerates")


def system_name(found: str) -> str:
    """platform.system(), except that Android calls itself Linux before Python 3.13."""
    on_android = hasattr(sys, "getandroidapilevel") or "ANDROID_ROOT" in os.environ
    return "Android" if on_android and found == "Linux" else found
