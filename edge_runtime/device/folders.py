"""The folders of this user: where models, conversations and caches are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def store_folder() -> Path:
    """$EDGE_RUNTIME_HOME, or the place where this system keeps a user's data. Not created."""
    chosen = os.environ.get("EDGE_RUNTIME_HOME", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return _data_home() / "edge-runtime"


def cache_folder() -> Path:
    """Where notes are kept that can be made again, such as probe results. Not created."""
    if os.environ.get("EDGE_RUNTIME_HOME") or sys.platform == "win32":
        return store_folder() / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "edge-runtime"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "edge-runtime"


def _data_home() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    xdg = Path(os.environ.get("XDG_DATA_HOME", ""))
    return xdg if xdg.is_absolute() else Path.home() / ".local" / "share"
