"""The Platform of this device."""

from __future__ import annotations

import mmap
import platform
from pathlib import Path

from ..device.device import read_cpu
from .budget import system_name
from .plan import Platform


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
