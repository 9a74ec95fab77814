"""Table, bar and picture of `edge-runtime quality`, with made-up figures."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from edge_tools.quality import Divergence, Mean, ModelQuality, Quality
from edge_tools.quality.tally import Tally
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.bench.pictures.quality_picture import Box, picture_of, place_labels
from edge_runtime.bench.pictures.short_names import short_names
from edge_runtime.cli.commands.quality import quality_lines
from edge_runtime.cli.screen import progress_bar
from edge_runtime.cli.screen.progress_bar import ConsoleProgress
from edge_runtime.values.display_text import text_columns

Capture = pytest.CaptureFixture[str]


def made_up(name: str, mean: float, size_bytes: int = 10**8) -> ModelQuality:
    found = Divergence(Mean(mean, mean / 10), mean, 9 * mean, 20 * mean, 0.9)
    return ModelQuality(Path(name), size_bytes, 4.5, Mean(20, 1), found)


def test_tokens_go_by_as_a_bar_or_as_lines(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(progress_bar, "_LINE_EVERY_S", 0)
    with ConsoleProgress().steps("quality", 4000, "tokens") as advance:
        advance(1000)
    assert capsys.readouterr().err == "quality: 1,000 tokens of 4,000 tokens (25 %)\n"
    pytest.importorskip("tqdm")
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with ConsoleProgress().steps("quality", 4000, "tokens") as advance:
        advance(4000)
    assert "quality: 100%" in screen.getvalue() and " tokens/s" in screen.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_names_are_shortened_where_they_are_the_same() -> None:
    paths = [Path(f"/models/SmolLM2-135M-Instruct-{kind}.gguf") for kind in ("Q8_0", "Q4_K_M")]
    assert short_names(paths, 40) == ["SmolLM2-135M-Instruct-Q8_0", "SmolLM2-135M-Instruct-Q4_K_M"]
    assert short_names(paths, 20) == ["…Q8_0", "…Q4_K_M"]
    assert short_names([Path("a/m.gguf"), Path("b/m.gguf")], 20) == ["a/m", "b/m"]
    assert short_names([Path("x" * 50 + "-q4.gguf")], 10) == ["…xxxxxx-q4"]
    assert short_names([Path("red\x1b[31m.gguf")], 20) == ["red[31m"]


def test_no_line_of_the_table_is_longer_than_80_columns() -> None:
    reference = replace(made_up("a" * 90 + ".gguf", 0), divergence=None)
    models = (made_up("名前" * 30 + ".gguf", 12.5, 10**12), made_up("b.gguf", 123456.0), made_up("c.gguf", 0))
    lines = list(quality_lines(Quality(reference, models, 131072, 10000, 655_350_000)))
    assert len(lines) == 7 and max(map(text_columns, lines)) <= 80


def test_a_picture_shows_what_is_nothing_as_nothing() -> None:
    reference = replace(made_up("m-f16.gguf", 0, 3 * 10**8), divergence=None)
    models = (made_up("m-q4.gguf", 0.04), made_up("m-q8.gguf", 2e-8))
    picture = picture_of(Quality(reference, models, 512, 8, 2040))
    assert [(point.label, point.mean) for point in picture.points] == [("m-q4", 0.04), ("m-q8", 0.0)]
    assert picture.reference_bytes == 3 * 10**8


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 500)), max_size=10, unique=True))
def test_labels_cover_neither_points_nor_each_other(points: list[tuple[int, int]]) -> None:
    """Where there is room, as there is for ten labels in a field of this size."""
    field = Box(-50, -50, 1200, 600)
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    boxes = place_labels(points, [(120, 20)] * len(points), taken, field, gap=8)
    for one, two in combinations(boxes, 2):
        assert not one.overlaps(two)
    assert all(box.is_inside(field) for box in boxes)
    assert not any(box.overlaps(point) for box in boxes for point in taken)


def test_a_perplexity_beyond_all_numbers_is_told() -> None:
    tally = Tally(2)
    for came in (1, 1):
        tally.add(np.array([0, -5000], np.float32), came)
    found = ModelQuality(Path("m.gguf"), 1, 4.5, tally.perplexity(), None)
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["perplexity"] is None
    lines = list(quality_lines(Quality(found, (), 16, 1, 2)))
    assert lines[1].split()[-1] == "inf"
