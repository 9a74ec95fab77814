"""The permission to start child processes."""

from __future__ import annotations

import sys

import pytest

from edge_runtime.device.children import children_allowed, why_no_children
from edge_runtime.errors import OptionInvalid


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_RUNTIME_CHILDREN", raising=False)


def test_python_may_start_children() -> None:
    assert children_allowed() and children_allowed(True)
    assert why_no_children() == ""


def test_the_variable_and_the_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not children_allowed(False)
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "no")
    assert not children_allowed()
    assert children_allowed(True)  # what the program says goes before what surrounds it
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", " Yes ")
    assert children_allowed() and not children_allowed(False)
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "maybe")
    with pytest.raises(OptionInvalid, match="EDGE_RUNTIME_CHILDREN: 'maybe'"):
        children_allowed()


@pytest.mark.parametrize("platform", ["android", "ios", "emscripten", "wasi"])
def test_phones_and_browsers_have_none_whatever_is_set(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "yes")
    assert not children_allowed() and not children_allowed(True)
    assert "no processes of its own" in why_no_children()


def test_android_is_told_by_its_interface_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getandroidapilevel", lambda: 33, raising=False)
    assert why_no_children(True).startswith("Android")


def test_a_frozen_app_is_never_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "frozen app" in why_no_children(True)


def test_an_app_with_python_inside_is_not_started_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for executable in ("/usr/bin/uwsgi", "/Applications/Notes.app/Contents/MacOS/Notes"):
        monkeypatch.setattr(sys, "executable", executable)
        assert "no Python interpreter" in why_no_children()
        assert children_allowed(True)
    for executable in ("/usr/bin/python3.13", "C:/Python/pythonw.exe", "/opt/pypy3"):
        monkeypatch.setattr(sys, "executable", executable)
        assert children_allowed()
    monkeypatch.setattr(sys, "executable", None)
    assert "executable" in why_no_children(True)
