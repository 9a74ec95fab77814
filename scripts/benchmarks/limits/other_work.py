"""Processor time that other processes took during a run."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, steal; source: proc_stat(5)
_TOO_BUSY_CORES = 0.1


class OtherWork:
    """Counts from here on; ask when every child has been waited for."""

    def __init__(self) -> None:
        self._started_s, self._started_foreign_s = time.monotonic(), _foreign_s()

    def busy_cores(self) -> float:
        """Cores that others, the hypervisor included, kept busy on average."""
        passed_s = max(time.monotonic() - self._started_s, 1e-3)
        return max(0.0, (_foreign_s() - self._started_foreign_s) / passed_s)


def warning(busy_cores: float) -> str:
    """Empty when it was quiet enough to measure."""
    return f"others kept {busy_cores:.2f} cores busy" if busy_cores > _TOO_BUSY_CORES else ""


def _foreign_s() -> float:
    """Processor time that neither this process nor a child of its has used, since some fixed moment."""
    ticks = _STAT.read_text().split("\n", 1)[0].split()[1:]
    everybody_s = sum(int(ticks[column]) for column in _BUSY_COLUMNS) / os.sysconf("SC_CLK_TCK")
    return everybody_s - sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
