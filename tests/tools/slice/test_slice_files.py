"""`edge-runtime slice`: the files it reads and writes, and the command itself."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import gguf
import pytest
from edge_tools.slice import SliceOptions, parse_layers, slice_model
from edge_tools.slice.options import layers_text
from edge_tools.synth import Quantizations
from support.builders import tiny_llama_gguf
from support.slice_models import E2B_LAYERS, Arrays, Capture, assert_same, gemma_3n, right_slices, weights

from edge_runtime.cli.command_line import main
from edge_runtime.errors import EdgeRuntimeError, ModelFileInvalid, OptionInvalid, StorageFull
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType
from edge_runtime.gguf.writing import raw_metadata
from edge_runtime.values.progress import Advance, QuietProgress

# --- files -------------------------------------------------------------------------------


class _Acting(QuietProgress):
    """Does something after the first 100,000 bytes."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act, self._done_bytes = act, 0

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        yield self._advance

    def _advance(self, count: int) -> None:
        if self._done_bytes <= 100_000 < self._done_bytes + count:
            self._act()
        self._done_bytes += count


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_source_that_becomes_shorter_leaves_nothing(e4b: Path) -> None:
    folder = e4b.with_name("out")
    folder.mkdir()

    def shorten() -> None:
        with e4b.open("r+b") as file:
            file.truncate(e4b.stat().st_size // 2)

    with pytest.raises(ModelFileInvalid, match="became shorter"):
        slice_model(e4b, folder / "sliced.gguf", SliceOptions(to="e2b"), progress=_Acting(shorten))
    assert list(folder.iterdir()) == []


def test_a_source_cut_off_inside_its_metadata_is_named(e4b: Path) -> None:
    header = read_header(e4b)
    with e4b.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(ModelFileInvalid, match="became shorter"):
        raw_metadata(header)


def test_an_interrupted_slice_leaves_nothing(e4b: Path) -> None:
    folder = e4b.with_name("out")
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        slice_model(e4b, folder / "sliced.gguf", SliceOptions(to="e2b"), progress=_Acting(interrupt))
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_known_before_anything_is_written(e4b: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(StorageFull, match="no room") as caught:
        slice_model(e4b, e4b.with_name("sliced.gguf"), SliceOptions(to="e2b"))
    assert "feed_forward=" in caught.value.hint
    assert not e4b.with_name("sliced.gguf").exists()


def test_an_output_is_replaced_only_with_force_the_source_too(e4b: Path, e4b_weights: Arrays) -> None:
    before = e4b.read_bytes()
    with pytest.raises(OptionInvalid, match="exists already"):
        slice_model(e4b, e4b, SliceOptions(to="e2b"))
    assert e4b.read_bytes() == before
    slice_model(e4b, e4b, SliceOptions(to="e2b"), force=True)
    assert_same(weights(e4b), right_slices(e4b_weights, E2B_LAYERS, 256))


def test_a_large_table_is_never_in_memory(tmp_path: Path) -> None:
    """It takes 107 MB, a chunk of it 1 MiB and its slice as much again; all metadata is below 1 MB."""
    types = Quantizations(*[GgmlType.Q8_0] * 3, ple=GgmlType.F16)
    source = gemma_3n(tmp_path / "e4b.gguf", types=types, tokens=6000)
    table = next(
        tensor for tensor in read_header(source).tensors if tensor.name.startswith("per_layer_token")
    )
    assert table.size_bytes > 100 << 20
    tracemalloc.start()
    try:
        slice_model(source, tmp_path / "sliced.gguf", SliceOptions(to="e2b"))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10 << 20


# --- the command -------------------------------------------------------------------------


def test_the_command_prints_a_table_or_json(e4b: Path, capsys: Capture) -> None:
    output = e4b.with_name("sliced.gguf")
    command = ["slice", str(e4b), "-o", str(output), "--skip-layers", "20-24,34", "--ffn", "128"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:12].strip(): line[12:].split() for line in lines[:6]}
    assert rows[""] == ["BEFORE", "AFTER"]
    assert rows["layers"] == ["35", "29"]
    assert rows["feed-forward"] == ["512", "128"]
    assert rows["tensors"] == ["847", "703"]
    assert [line[:6] for line in lines[6:-1]] == ["note: "]
    assert lines[-1] == f"{output}: {output.stat().st_size:,} bytes, out of e4b.gguf"

    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err

    assert main([*command[:4], "--to", "E2B", "--json", "--force"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == str(output)
    assert found["source"] == str(e4b)
    assert found["skipped_layers"] == [20, 21, 22, 23, 24]
    assert found["before"]["size_bytes"] == e4b.stat().st_size
    assert found["after"] == {
        "layers": 30,
        "feed_forward": 256,
        "tensors": 727,
        "parameters": sum(tensor.n_elements for tensor in gguf.GGUFReader(output).tensors),
        "size_bytes": output.stat().st_size,
    }
    assert found["notes"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["--skip-layers", "24-20"], 2, "'24-20' are no layers"),
        (["--skip-layers", "3-"], 2, "like 20-24"),
        (["--skip-layers", ""], 2, "are no layers"),
        (["--skip-layers", "0-999999"], 2, "are no layers"),
        ([], 2, "nothing to cut"),
        (["--ffn", "30"], 2, "--ffn 32"),
    ],
)
def test_wrong_usage_says_what_would_do(
    arguments: list[str], status: int, problem: str, e4b: Path, capsys: Capture
) -> None:
    output = e4b.with_name("sliced.gguf")
    assert main(["slice", str(e4b), "-o", str(output), *arguments]) == status
    assert problem in capsys.readouterr().err
    assert not output.exists()


def test_a_model_of_another_kind_is_a_model_error(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    assert main(["slice", str(path), "-o", str(tmp_path / "sliced.gguf"), "--to", "e2b"]) == 3
    assert "not a MatFormer model" in capsys.readouterr().err


def test_layers_are_read_and_printed_in_ranges() -> None:
    assert parse_layers("30, 20-22,21") == (20, 21, 22, 30)
    assert layers_text((30, 20, 21, 22)) == "20-22, 30"
    for text in ("20-", "-3", "a", "20--22", "²", "20,,21"):
        with pytest.raises(EdgeRuntimeError):
            parse_layers(text)
