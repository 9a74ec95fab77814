"""Models of several files: read from the first one, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.builders import INT32, UINT8, UINT16, Typed, gguf_bytes

from edge_runtime.errors import ModelFileInvalid, ModelNotFound
from edge_runtime.gguf.header import read_header


def split_set(folder: Path, count: int = 3, **changes: object) -> list[Path]:
    paths = []
    for number in range(count):
        metadata: dict[str, object] = {
            "split.no": Typed(UINT16, number),
            "split.count": Typed(UINT16, count),
            "split.tensors.count": Typed(INT32, count),
        }
        if number == 0:
            metadata |= {"general.architecture": "llama", **changes}
        path = folder / f"big-{number + 1:05}-of-{count:05}.gguf"
        path.write_bytes(gguf_bytes(metadata, {f"weight.{number}": np.full(8, number)}))
        paths.append(path)
    return paths


def test_a_split_set_is_read_from_its_first_file(tmp_path: Path) -> None:
    paths = split_set(tmp_path)
    header = read_header(paths[0])
    assert header.paths == tuple(paths)
    assert [(tensor.name, tensor.file_index) for tensor in header.tensors] == [
        ("weight.0", 0),
        ("weight.1", 1),
        ("weight.2", 2),
    ]
    assert header.file_size_bytes == sum(path.stat().st_size for path in paths)
    assert header.architecture == "llama"


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    paths = split_set(tmp_path)
    paths[2].unlink()
    with pytest.raises(ModelNotFound, match=r"big-00003-of-00003\.gguf is missing") as caught:
        read_header(paths[0])
    assert caught.value.facts["path"] == str(paths[2])


def test_a_later_part_points_to_the_first(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid) as caught:
        read_header(split_set(tmp_path)[1])
    assert "big-00001-of-00003.gguf" in caught.value.hint


def test_a_renamed_part_asks_for_its_name(tmp_path: Path) -> None:
    other = split_set(tmp_path)[0].rename(tmp_path / "model.gguf")
    with pytest.raises(ModelFileInvalid, match=r"a name like model-00001-of-00003\.gguf"):
        read_header(other)


@pytest.mark.parametrize("number", [Typed(UINT16, 2), Typed(UINT8, 1), Typed(UINT16, [1]), "1", None])
def test_a_part_that_is_another_part_is_refused(tmp_path: Path, number: object) -> None:
    paths = split_set(tmp_path)
    metadata = {} if number is None else {"split.no": number}
    paths[1].write_bytes(gguf_bytes(metadata, {"weight.1": np.ones(8)}))
    with pytest.raises(ModelFileInvalid, match=r"big-00002.*split\.no 1"):
        read_header(paths[0])


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    paths = split_set(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    with pytest.raises(ModelFileInvalid, match=r"big-00002-of-00003\.gguf is damaged at byte"):
        read_header(paths[0])


def test_parts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="7 tensors in the set"):
        read_header(split_set(tmp_path, **{"split.tensors.count": Typed(INT32, 7)})[0])
    paths = split_set(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes().replace(b"weight.2", b"weight.1"))
    with pytest.raises(ModelFileInvalid, match="each tensor in one file only"):
        read_header(paths[0])
