"""Holding a loaded model to its plan: which of its pages are in memory, and which are not."""

from .first_pass import Position
from .keeper import ResidencyFigures, ResidencyKeeper
from .layout import ResidencyLayout, StreamedTensor, plan_layout
from .monitor import MemoryMonitor

__all__ = [
    "MemoryMonitor",
    "Position",
    "ResidencyFigures",
    "ResidencyKeeper",
    "ResidencyLayout",
    "StreamedTensor",
    "plan_layout",
]
