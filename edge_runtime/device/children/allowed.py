"""The permission to start child processes, and the reason where there is none.

Where Python is part of an app, sys.executable can be the app itself: starting it with
arguments meant for Python would open the app a second time. Phones and browsers allow
no second process at all.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import PurePath

from ...errors import ChildUnavailable, OptionInvalid

VARIABLE = "EDGE_RUNTIME_CHILDREN"
_PHONES_AND_BROWSERS = {
    "android": "Android",
    "ios": "iOS",
    "tvos": "tvOS",
    "watchos": "watchOS",
    "emscripten": "a browser",
    "wasi": "WebAssembly",
}
_INTERPRETER = re.compile(r"python|pypy|graalpy", re.IGNORECASE)


def children_allowed(children: bool | None = None) -> bool:
    """Whether child processes may be started: see why_no_children()."""
    return not why_no_children(children)


def why_no_children(children: bool | None = None) -> str:
    """Why no child process may be started; empty where one may.

    children: what the caller asked for. False: none. True: also where EDGE_RUNTIME_CHILDREN=no,
    but never where the system has none. None: as EDGE_RUNTIME_CHILDREN (yes or no) says, and
    yes without it. Raises OptionInvalid for another value of that variable.
    """
    if children is False:
        return "children=False was given"
    if missing := _what_is_missing():
        return missing
    wanted = children or _wanted_by_the_environment()
    if wanted is False:
        return f"{VARIABLE}=no is set"
    name = PurePath(sys.executable).name
    if wanted is None and not _INTERPRETER.search(name):
        return f"sys.executable is {name}, which is no Python interpreter"
    return ""


def child_unavailable(reason: str) -> ChildUnavailable:
    """The error for work that cannot be done without a child process."""
    return ChildUnavailable(
        f"no child process can be started here: {reason}",
        hint="`edge-runtime doctor` says what is done without; where Python can start processes "
        f"and {VARIABLE} is not `no`, this works",
        reason=reason,
    )


def _what_is_missing() -> str:
    """What no setting can change."""
    platform = "android" if hasattr(sys, "getandroidapilevel") else sys.platform
    if platform in _PHONES_AND_BROWSERS:
        return f"{_PHONES_AND_BROWSERS[platform]} allows an app no processes of its own"
    if getattr(sys, "frozen", False) or "__compiled__" in globals():  # PyInstaller and others; Nuitka
        return "this program is a frozen app, whose executable is not Python"
    return "" if sys.executable else "Python does not know its own executable (sys.executable is empty)"


def _wanted_by_the_environment() -> bool | None:
    """None: nothing is set."""
    text = os.environ.get(VARIABLE, "").strip().lower()
    if text in ("", "yes", "no"):
        return None if not text else text == "yes"
    raise OptionInvalid(
        f"{VARIABLE}: {text[:40]!r} is neither yes nor no",
        hint=f"{VARIABLE}=no, or unset it",
        option=VARIABLE,
    )
