"""Files that a user names: all of it or nothing, no pipe and no device is replaced, a full disk is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.errors import EdgeRuntimeError, OptionInvalid, StorageFull
from edge_runtime.values.files import is_disk_full
from edge_runtime.values.output_file import check_output, output_file, output_path

CONTENT = b"all of it"


def write(path: Path, *, force: bool = False, total_bytes: int = len(CONTENT)) -> None:
    with output_file(path, total_bytes, force=force) as file:
        file.write(CONTENT)


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def a_link_to_a_pipe(folder: Path) -> Path:
    (folder / "link").symlink_to(a_pipe(folder))
    return folder / "link"


def a_link_to_a_device(folder: Path) -> Path:
    (folder / "null").symlink_to(os.devnull)
    return folder / "null"


def a_device(_: Path) -> Path:
    return Path(os.devnull)


def a_folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    return folder / "folder"


IN_THE_WAY = [a_pipe, a_link_to_a_pipe, a_link_to_a_device, a_device, a_folder]


@pytest.mark.parametrize("make", IN_THE_WAY)
@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_regular_file_is_never_replaced(
    tmp_path: Path, make: Callable[[Path], Path], force: bool
) -> None:
    path = make(tmp_path)
    before = path.lstat()
    with pytest.raises(OptionInvalid, match=r"is a pipe or a device|is a folder") as caught:
        write(path, force=force)
    assert str(path) in str(caught.value)
    assert caught.value.facts["option"] == "output"
    after = path.lstat()
    assert (after.st_mode, after.st_ino, after.st_rdev) == (before.st_mode, before.st_ino, before.st_rdev)


def test_what_appears_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    with pytest.raises(OptionInvalid, match="pipe"), output_file(path, 1, force=True) as file:
        file.write(b"x")
        os.mkfifo(path)
    assert [each.name for each in tmp_path.iterdir() if each.name != "home"] == ["pipe"]


def test_regular_file_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("precious")
    with pytest.raises(OptionInvalid, match="exists already") as caught:
        write(path)
    assert "force=True" in caught.value.hint
    assert path.read_text() == "precious"
    write(path, force=True)
    assert path.read_bytes() == CONTENT


def test_link_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nothing")
    write(path)
    assert path.read_bytes() == CONTENT and not path.is_symlink()


@pytest.mark.parametrize("below", ["file/below", "missing/below", "x" * 300])
def test_place_that_cannot_be_written_is_our_error(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionInvalid, match="cannot write"):
        write(tmp_path / below)


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_what_ends_early_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "here"
    with pytest.raises(type(error)), output_path(path, force=False) as place:
        place.write_bytes(b"half")
        raise error
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


def test_too_little_room_is_said_before_anything_is_written(small_disk: Path) -> None:
    with pytest.raises(StorageFull) as caught:
        write(small_disk / "big", total_bytes=1 << 30)
    assert caught.value.facts["needed_bytes"] == 1 << 30
    assert list(small_disk.iterdir()) == []


def test_disk_that_fills_up_on_the_way_leaves_nothing(small_disk: Path) -> None:
    with (
        pytest.raises(StorageFull, match="no room in"),
        output_file(small_disk / "x", 1, force=False) as file,
    ):
        file.write(bytes(2 << 20))
    assert list(small_disk.iterdir()) == []


def test_real_full_disk_is_known(small_disk: Path) -> None:
    with pytest.raises(OSError) as caught, (small_disk / "x").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    assert is_disk_full(caught.value)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_way_to_say_full_is_known(code: int) -> None:
    assert is_disk_full(OSError(code, os.strerror(code)))


@pytest.mark.parametrize("winerror", [39, 112, 223, 1295])
def test_windows_words_for_full_are_known(winerror: int) -> None:
    error = OSError(errno.EINVAL, "as Windows reports it")
    error.winerror = winerror  # type: ignore[attr-defined]
    assert is_disk_full(error)


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT, errno.EROFS])
def test_other_errors_are_not_a_full_disk(code: int) -> None:
    assert not is_disk_full(OSError(code, os.strerror(code)))


def test_errors_of_ours_pass_through(tmp_path: Path) -> None:
    with pytest.raises(EdgeRuntimeError, match="mine"), output_path(tmp_path / "x", force=False):
        raise EdgeRuntimeError("mine")


def test_check_names_the_option_it_is_about(tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid) as caught:
        check_output(a_pipe(tmp_path), force=True, option="plot")
    assert caught.value.facts["option"] == "plot"
