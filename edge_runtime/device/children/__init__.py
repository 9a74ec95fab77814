"""Child processes: whether one may be started, the only launcher, and how a child ended."""

from .allowed import children_allowed, why_no_children
from .ending import ChildEnd
from .launch import run_child, run_python
from .stream import ChildStream

__all__ = [
    "ChildEnd",
    "ChildStream",
    "children_allowed",
    "run_child",
    "run_python",
    "why_no_children",
]
