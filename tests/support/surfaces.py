"""The public surfaces of two classes, for tests that a twin has the same names and keywords."""

from __future__ import annotations

import inspect


def public_surface(kind: type) -> dict[str, list[str]]:
    """Name -> the parameters of that method, in order; [] for a property."""
    members = {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}
    return {name: _parameters(member) for name, member in members.items()}


def _parameters(member: object) -> list[str]:
    if not callable(member):
        return []
    found = inspect.signature(member).parameters.values()
    return [f"{p.kind.name} {p.name}={p.default!r}" for p in found if p.name != "self"]


def differences(one: type, twin: type) -> list[str]:
    """A line for each name that one of them lacks, or whose parameters or defaults differ."""
    left, right = public_surface(one), public_surface(twin)
    return [
        f"{name}: {left.get(name)} / {right.get(name)}"
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    ]
