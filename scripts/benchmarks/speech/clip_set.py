"""The project's own clips, live and as whole files: `edge-runtime bench speech`."""

from __future__ import annotations

import json
from typing import Any

from ..table import Row
from .child import edge_runtime
from .part import Part, Settings

HOW = "`edge-runtime bench speech` on every clip; latencies are those of words."
_WER_POINTS, _CPU, _COMMIT_S, _COMMIT_95_S, _SHOWN_S = 2.0, 0.4, 2.0, 4.0, 0.8
_HEADS = "clips|words|WER live|WER whole|CPU live|CPU whole|commit p50|p90|p95|shown p50|p95|loops".split("|")


def measure(settings: Settings) -> Part:
    folder = settings.subfolder("set")
    path = folder / "result.json"
    options = ["--limit", "3"] if settings.quick else []
    edge_runtime(
        ["bench", "speech", "--model", settings.model, "-o", str(path), "--force", "--json", *options], folder
    )
    summaries = json.loads(path.read_text(encoding="utf-8"))["summaries"]
    return Part("set", HOW, goal_rows("set", summaries[-1]), [_HEADS, *map(_cells, summaries)])


def goal_rows(name: str, found: dict[str, Any]) -> list[Row]:
    """`found`: as Summary.as_json gives it."""
    live, whole = found["live"], found["whole"]
    apart = 100 * (live["word_error_rate"] - whole["word_error_rate"])
    note = f"{100 * live['word_error_rate']:.1f} and {100 * whole['word_error_rate']:.1f} %"
    return [
        Row(f"{name}: live WER above whole files'", apart, "points", most=_WER_POINTS, note=note),
        *delay_rows(name, found["commit_latency_s"], found["first_display_s"]),
        Row(f"{name}: CPU for a second of sound", live["cpu_s_per_audio_s"], "s", most=_CPU),
        Row(f"{name}: loops", len(live["loops"]) + len(whole["loops"]), "", most=0),
        Row(f"{name}: sound lost", found["dropped_s"], "s", most=0),
    ]


def delay_rows(name: str, commit_s: dict[str, float], shown_s: dict[str, float]) -> list[Row]:
    return [
        Row(f"{name}: commit latency p50", commit_s["p50"], "s", most=_COMMIT_S),
        Row(f"{name}: commit latency p95", commit_s["p95"], "s", most=_COMMIT_95_S),
        Row(f"{name}: first display p50", shown_s["p50"], "s", most=_SHOWN_S),
    ]


def _cells(found: dict[str, Any]) -> list[str]:
    live, whole, commit_s, shown_s = (
        found[name] for name in ("live", "whole", "commit_latency_s", "first_display_s")
    )
    loops = len(live["loops"]) + len(whole["loops"])
    return [
        f"{found['language']}: {found['clips']}",
        str(live["words"]),
        *(f"{100 * side['word_error_rate']:.1f} %" for side in (live, whole)),
        *(f"{side['cpu_s_per_audio_s']:.3f}" for side in (live, whole)),
        *(f"{commit_s[share]:.2f}" for share in ("p50", "p90", "p95")),
        *(f"{shown_s[share]:.2f}" for share in ("p50", "p95")),
        str(loops),
    ]
