"""Bound on how many readings of one text llama.cpp has to follow at the same time.

It keeps a stack for each. Branches that begin alike and contain themselves would double them
at every level, until memory is full.
"""

from __future__ import annotations

from .bounds import MOST_PARSES, refuse
from .rules import Ref, Rules, Times


def check_readings(rules: Rules) -> None:
    """Raises OptionInvalid."""
    if not rules.conflicts:
        return
    edges = {
        name: {item.name for row in rows for item in row if isinstance(item, (Ref, Times))}
        for name, rows in rules.rows.items()
    }
    conflicts: dict[str, set[str]] = {}
    for owner, branches in rules.conflicts:
        conflicts.setdefault(owner, set()).update(branches)
    for owner, alike in conflicts.items():
        if sum(owner in _reached(branch, edges) for branch in alike) > 1:
            raise refuse(
                "",
                "branches of anyOf, oneOf or contains that begin alike contain the whole again",
                'begin each branch with a required property that has another "const"',
            )
    if _most_readings(edges, conflicts) > MOST_PARSES:
        reason = f"one text could be read in more than {MOST_PARSES} ways"
        raise refuse("", reason, "make the branches of anyOf begin differently")


def _reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    found = {start}
    todo = [start]
    while todo:
        for name in edges[todo.pop()] - found:
            found.add(name)
            todo.append(name)
    return found


def _most_readings(edges: dict[str, set[str]], conflicts: dict[str, set[str]]) -> int:
    """Over all rules: branches that begin alike add up, everything else is the largest of its parts."""
    readings: dict[str, int] = {}
    for start in edges:
        todo = [start]
        while todo:
            name = todo[-1]
            if readings.get(name):
                todo.pop()
            elif name not in readings:
                readings[name] = 0  # being worked out: a circle counts as nothing
                todo += [other for other in edges[name] if other not in readings]
            else:
                branches = conflicts.get(name, set())
                alike = sum(readings.get(branch, 0) for branch in branches)  # 0: leads nowhere
                readings[name] = max(1, alike, *(readings[other] for other in edges[name]), 1)
                todo.pop()
    return max(readings.values(), default=1)
