"""`plan --plot`: what is drawn, and that it can be."""

from __future__ import annotations

import importlib.util
import os
import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import tiny_llama_gguf
from support.memory_models import MB, body, header, option

from edge_runtime.backends.llama.dry_run import DryRunSizes
from edge_runtime.bench.pictures.picture_file import check_picture
from edge_runtime.bench.pictures.plan_canvas import draw_plan
from edge_runtime.bench.pictures.plan_picture import Segment, grouped, label_levels, picture_of
from edge_runtime.bench.plan_check import Found, compare, task_of
from edge_runtime.cli.command_line import main
from edge_runtime.errors import OptionInvalid, StorageFull
from edge_runtime.memory import Held, LoadOptions, plan_memory
from edge_runtime.values.units import ByteUnits

MODEL = header("llama", 8, tensors=body(8, 50 * MB), attention__head_count=16)
Capture = pytest.CaptureFixture[str]


def needs_matplotlib() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")


def test_small_parts_are_grouped_by_how_they_are_held() -> None:
    segments = [
        Segment("big", 900, Held.ANONYMOUS),
        *(Segment(f"small {n}", 10, Held.ANONYMOUS) for n in range(3)),
        Segment("alone", 10, Held.FILE),
        Segment("none", 0, Held.FILE),
    ]
    assert grouped(segments, 0.025) == (
        Segment("big", 900, Held.ANONYMOUS),
        Segment("3 others", 30, Held.ANONYMOUS),
        Segment("alone", 10, Held.FILE),
    )


def test_a_picture_shows_every_byte() -> None:
    plan = plan_memory(MODEL, None, 1000 * MB)
    picture = picture_of(plan)
    assert sum(segment.size_bytes for segment in picture.planned) == plan.total_bytes
    assert picture.title == f"some.gguf in memory: {plan.total_bytes / 1e6:.0f} MB, fits 1.00 GB"
    assert picture.measured == () and picture.budget_bytes == 1000 * MB


def test_a_picture_counts_in_the_units_that_the_budget_was_given_in(tmp_path: Path) -> None:
    needs_matplotlib()
    plan = plan_memory(MODEL, option(byte_units=ByteUnits.BINARY), 2**30)
    assert picture_of(plan).title.endswith(" MiB, fits 1.00 GiB")
    draw_plan(plan, tmp_path / "plan.svg")
    drawn = (tmp_path / "plan.svg").read_text(encoding="utf-8")
    comments = re.findall(r"<!-- (.*?) -->", drawn)  # matplotlib writes each text into one
    assert "200 MiB" in comments and "400 MiB" in comments  # the axis: round sizes
    assert not any(re.search(r"\d [KMGT]B", comment) for comment in comments)


def test_what_is_streamed_is_beside_the_bar() -> None:
    plan = plan_memory(MODEL, None, plan_memory(MODEL).minimum_bytes)
    picture = picture_of(plan)
    assert "streamed weights" in [segment.name for segment in picture.flash]
    assert Held.LOCKED in {segment.held for segment in picture.planned}


def test_what_was_measured_is_a_second_bar() -> None:
    plan = plan_memory(MODEL)
    found = Found(300 * MB, 200 * MB, 50 * MB, 0, {})
    picture = picture_of(
        plan, compare(MODEL, plan, task_of(MODEL, plan, LoadOptions(), 100), found, DryRunSizes(0, 0, 0))
    )
    assert [(segment.name, segment.size_bytes) for segment in picture.measured] == [
        ("anonymous", 300 * MB),
        ("locked", 50 * MB),
        ("file-backed", 150 * MB),
    ]
    assert picture.measured_label.startswith("measured\n500 MB\n(116 tokens:\nplan ")


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(20, 300)), max_size=12))
def test_labels_and_leaders_never_cross(places: list[tuple[int, int]]) -> None:
    places.sort()
    starts, widths = [float(x) for x, _ in places], [float(w) for _, w in places]
    levels = label_levels(starts, widths, gap=10)
    for i, j in combinations(range(len(places)), 2):
        if starts[j] < starts[i] + widths[i]:  # then j's leader has to end below i's label
            assert levels[j] < levels[i]


@pytest.mark.parametrize("name", ["plan.pdf", "plan", "plan.png.txt"])
def test_another_ending_is_refused(name: str) -> None:
    with pytest.raises(OptionInvalid, match=r"does not end in \.png or \.svg"):
        check_picture(Path(name))


def test_a_missing_matplotlib_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert main(["plan", "some.gguf", "--plot", str(tmp_path / "plan.png")]) == 2
    assert 'pip install "edge-runtime[plot]"' in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plan.png", "plan.svg"])
def test_a_file_is_drawn(tmp_path: Path, name: str, capsys: Capture) -> None:
    needs_matplotlib()
    model, picture = tmp_path / "tiny.gguf", tmp_path / name
    model.write_bytes(tiny_llama_gguf())
    assert main(["plan", str(model), "--budget", "1GB", "--plot", str(picture)]) == 0
    begin = picture.read_bytes()[:300]
    assert begin.startswith(b"\x89PNG") if name.endswith("png") else b"<?xml" in begin
    assert capsys.readouterr().err == ""


def test_what_does_not_fit_is_drawn_too(tmp_path: Path) -> None:
    needs_matplotlib()
    model, picture = tmp_path / "tiny.gguf", tmp_path / "plan.png"
    model.write_bytes(tiny_llama_gguf())
    assert main(["plan", str(model), "--budget", "1MB", "--plot", str(picture)]) == 4
    assert picture.stat().st_size > 10_000


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    needs_matplotlib()
    with pytest.raises(OptionInvalid, match="cannot write"):
        draw_plan(plan_memory(MODEL), tmp_path / "no" / "plan.png")


def test_a_device_is_not_replaced_by_a_picture(tmp_path: Path, tiny: Path, capsys: Capture) -> None:
    needs_matplotlib()
    picture = tmp_path / "plan.png"
    picture.symlink_to("/dev/null")
    assert main(["plan", str(tiny), "--budget", "1GB", "--plot", str(picture)]) == 2
    assert "plan.png is a pipe or a device" in capsys.readouterr().err
    assert picture.is_symlink()


def test_a_full_disk_leaves_no_half_picture(small_disk: Path) -> None:
    needs_matplotlib()
    (small_disk / "ballast").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 4096))
    with pytest.raises(StorageFull, match="no room in"):
        draw_plan(plan_memory(MODEL), small_disk / "plan.png")
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize("table_mb", [40, 372, 1390, 3000, 9999])
def test_no_text_is_cut_off_at_the_edge(table_mb: int) -> None:
    needs_matplotlib()
    from edge_runtime.bench.pictures.plan_canvas import draw
    from edge_runtime.bench.pictures.plan_picture import Picture

    picture = Picture(
        title="some.gguf in memory",
        subtitle="4096 tokens of context",
        planned=(
            Segment("body, repacked", 1_260 * MB, Held.ANONYMOUS),
            Segment("KV cache", 9 * MB, Held.FILE),
        ),
        measured=(),
        flash=(Segment("per-layer embeddings", table_mb * MB, Held.FLASH),),
        budget_bytes=2_000 * MB,
        byte_units=ByteUnits.DECIMAL,
        planned_label="planned\n1.27 GB",
        measured_label="",
    )
    figure = draw(picture)
    renderer = figure.canvas.get_renderer()
    figure.canvas.draw()
    for axes in figure.axes:
        for label in axes.get_xticklabels():
            if axes.get_xlim()[0] <= label.get_position()[0] <= axes.get_xlim()[1]:
                extent = label.get_window_extent(renderer)
                assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width, label.get_text()
