"""One launcher: children that answer, refuse, die, hang, or cannot be started."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT

from edge_runtime.device.children import ChildEnd, ChildStream, run_child
from edge_runtime.errors import ChildUnavailable, EngineUnavailable, ModelNotFound


def run(limit_s: float = 60.0, **task: Any) -> ChildEnd:
    return run_child("support.echo_child", task, limit_s=limit_s)


def test_a_child_finds_what_we_find_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "scripts")])  # by no variable and no installation
    end = run(modules=["edge_runtime", "edge_tools", "structure", "no_such"], variables=["GGML_NO_BACKTRACE"])
    assert end.answer is not None and end.error is None and end.status == 0 and not end.died
    assert end.answer["modules"] == ["edge_runtime", "edge_tools", "structure"]
    assert end.answer["environment"] == {"GGML_NO_BACKTRACE": "1"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python always looks in the current folder")
def test_a_child_takes_nothing_from_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    assert run().status == 0


def test_the_childs_error_is_ours_with_its_hint_and_plain_facts() -> None:
    end = run(not_found=True)
    assert isinstance(end.error, ModelNotFound) and end.answer is None and not end.died
    assert (str(end.error), end.error.hint, end.error.facts) == (
        *("no such model", "look elsewhere"),
        {"name": "x"},
    )
    assert end.describe() == "no such model"


def test_how_a_child_ended_is_told_with_its_last_words() -> None:
    words = "first\n\x1b[31mGGML_ASSERT\x07 failed\n\n"
    assert run(stderr=words, status=7).describe() == "[31mGGML_ASSERT failed"
    assert run(status=7).describe() == "exit status 7"
    assert ChildEnd(0xC0000005).describe() == "ended by exception 0xc0000005"
    if sys.platform != "win32":
        died = run(stderr=words, signal=int(signal.SIGABRT))
        assert died.describe() == "ended by SIGABRT: [31mGGML_ASSERT failed"
        assert died.died and not died.was_killed
        assert run(signal=9).was_killed


def test_a_child_that_hangs_is_ended() -> None:
    end = run(0.5, sleep_s=60)
    assert end.status is None and end.died
    assert end.describe() == "no answer within 0.5 s"


def test_what_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no such folder/python")
    with pytest.raises(ChildUnavailable, match="No such file") as caught:
        run()
    assert isinstance(caught.value, EngineUnavailable) and "doctor" in caught.value.hint
    with pytest.raises(ChildUnavailable):
        ChildStream("support.echo_child")


def test_no_child_is_started_where_none_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from support.stand_in_python import python_that

    runs = python_that("", tmp_path, monkeypatch)
    with pytest.raises(ChildUnavailable, match="children=False"):
        run_child("support.echo_child", {}, limit_s=60, children=False)
    assert not runs.exists()
