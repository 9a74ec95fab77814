"""Transcripts on disk: there as soon as they are final, and never over another file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import SUPPORT
from support.pseudo_terminal import child_environment
from support.spoken import END, final, spoken

from edge_runtime.errors import OptionInvalid, StorageFull
from edge_runtime.speech.captions import CaptionFiles, CaptionFormat, check_paths, make_writer

ALL = tuple(CaptionFormat)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def files_in(folder: Path, *, force: bool = False) -> CaptionFiles:
    return CaptionFiles({folder / f"talk{form.suffix}": make_writer(form) for form in ALL}, force=force)


def test_several_formats_are_written_at_once(out: Path) -> None:
    with files_in(out / "new" / "folder") as files:
        files.take(final(spoken("Good morning.")))
        files.take(END)
        files.take_stats({"type": "stats"})
    found = {path.suffix: path.read_text(encoding="utf-8") for path in (out / "new/folder").iterdir()}
    assert found.keys() == {".txt", ".srt", ".vtt", ".jsonl"}
    assert all("Good morning." in text for text in found.values())
    assert [json.loads(line)["type"] for line in found[".jsonl"].splitlines()] == ["final", "end", "stats"]
    assert "stats" not in found[".txt"] + found[".srt"] + found[".vtt"]


def test_a_final_is_on_disk_before_the_next_comes(out: Path) -> None:
    with files_in(out) as files:
        files.take(final(spoken("First words."), 1))
        assert all("First words." in path.read_text() for path in out.iterdir())
        files.take(final(spoken("Second", start_s=5.0), 2, ends=False))
        assert (out / "talk.txt").read_text() == "First words.\nSecond"


def test_a_failure_completes_what_was_under_way(out: Path) -> None:
    with pytest.raises(RuntimeError), files_in(out) as files:
        files.take(final(spoken("Cut off in the"), ends=False))
        raise RuntimeError
    assert all("Cut off in the" in path.read_text() for path in out.iterdir())
    assert (out / "talk.txt").read_text() == "Cut off in the\n"


def test_a_kill_leaves_what_was_final(out: Path) -> None:
    """Nothing waits in a buffer of ours: the process gets no chance to write it."""
    code = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.spoken import final, spoken
from edge_runtime.speech.captions import CaptionFiles, CaptionFormat, make_writer
folder = Path(sys.argv[1])
files = CaptionFiles({folder / f"a{form.suffix}": make_writer(form) for form in CaptionFormat})
files.take(final(spoken("Spoken before the power went.")))
os.kill(os.getpid(), signal.SIGKILL)
"""
    here = str(SUPPORT.parent)
    command = [sys.executable, "-c", code, str(out), here]
    done = subprocess.run(command, env=child_environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    texts = [path.read_text() for path in out.iterdir()]
    assert len(texts) == 4
    assert all("Spoken before the power" in text for text in texts)


def test_nothing_is_replaced_without_force(out: Path) -> None:
    (out / "talk.srt").write_text("precious")
    with pytest.raises(OptionInvalid, match=r"talk\.srt exists already"):
        files_in(out)
    assert [path.name for path in out.iterdir()] == ["talk.srt"]
    assert (out / "talk.srt").read_text() == "precious"
    with files_in(out, force=True) as files:
        files.take(final(spoken("New.")))
    assert "New." in (out / "talk.srt").read_text()


def test_two_transcripts_do_not_share_a_file(out: Path) -> None:
    with pytest.raises(OptionInvalid, match="written twice"):
        check_paths([out / "a.srt", out / "b.srt", out / "a.srt"], force=True)


def test_a_folder_in_the_way_is_named(out: Path) -> None:
    (out / "talk.txt").mkdir()
    with pytest.raises(OptionInvalid, match=r"talk\.txt is a folder"):
        files_in(out, force=True)
    (out / "file").write_text("")
    with pytest.raises(OptionInvalid, match="cannot write"):
        files_in(out / "file" / "below")


def test_a_full_disk_is_said_and_keeps_what_fitted(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 8192))
    outputs = {small_disk / "talk.txt": make_writer(CaptionFormat.TEXT)}
    with pytest.raises(StorageFull, match="no room in") as caught, CaptionFiles(outputs) as files:
        for n in range(10_000):
            files.take(final(spoken("Words and words and words."), n))
    assert "talk.txt" in caught.value.hint
    assert (small_disk / "talk.txt").read_text().startswith("Words and words and words.\nWords")


@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_in_the_way_is_named_and_not_waited_for(out: Path, force: bool) -> None:
    os.mkfifo(out / "talk.srt")
    with pytest.raises(OptionInvalid, match=r"talk\.srt is a pipe"):
        files_in(out, force=force)
    assert [path.name for path in out.iterdir()] == ["talk.srt"] and (out / "talk.srt").is_fifo()
