"""The facts of a device that decide where weights can live."""

from __future__ import annotations

import mmap
import platform
from dataclasses import dataclass
from pathlib import Path

from ..device.device import read_cpu
from .budget import system_name


@dataclass(frozen=True)
class Platform:
    """What decides where weights can live, besides their size."""

    system: str = "Linux"
    cpu_features: frozenset[str] = frozenset()  # as in device.Cpu: which weights llama.cpp repacks
    can_repack: bool = True  # False: the crash guard found that repacked weights crash here
    can_release: bool = True  # pages of a mapping can be given back: madvise
    page_bytes: int = 4096


def this_platform(*, can_repack: bool = True, root: Path = Path("/")) -> Platform:
    """can_repack: what the crash guard found, ProbeResult.use_extra_bufts."""
    system = system_name(platform.system())
    return Platform(
        system=system,
        cpu_features=read_cpu(root).features,
        can_repack=can_repack,
        can_release=system in ("Linux", "Android"),  # MADV_PAGEOUT
        page_bytes=mmap.PAGESIZE,
    )
