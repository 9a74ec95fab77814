"""`edge-runtime quantize`: metadata, split sets, importance matrices, and the command itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_tools.quantize import quantize, recipe_named
from edge_tools.tensor_classes import TensorClass, tensor_class
from support.builders import RawTensor, gguf_bytes
from support.quantized_models import (
    DOWN,
    EMBEDDING,
    as_dry_run,
    data_of,
    left_in,
    pieces_of_tiny,
    wants,
    write_e2b,
    write_tiny,
)

from edge_runtime.cli.command_line import main
from edge_runtime.errors import ModelUnsupported, OptionInvalid
from edge_runtime.gguf.header import GgufHeader, read_header

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def e2b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_e2b(tmp_path_factory.mktemp("e2b") / "e2b.gguf")


def test_metadata_is_carried_over_and_counted_exactly(tmp_path: Path) -> None:
    """llama.cpp cuts texts at a zero byte, drops dimensions of 1, and pads to 32 whatever the file says."""
    odd = {
        "odd.text": "before\0after",
        "odd.list": [b"a\0b", b"c"],
        "general.alignment": 64,
        "tokenizer.chat_template": "{{ messages }}",
    }
    metadata, tensors = pieces_of_tiny()
    tensors["extra.weight"] = RawTensor((32, 1), 0, bytes(128))
    source = tmp_path / "odd.gguf"
    source.write_bytes(gguf_bytes({**metadata, **odd}, tensors, alignment_bytes=64))
    made = quantize(source, tmp_path / "out.gguf", wants(type="Q8_0"))
    header = read_header(made.paths[0])
    assert made.size_bytes == made.paths[0].stat().st_size
    assert header.metadata["odd.text"] == "before"
    assert header.metadata["tokenizer.chat_template"] == "{{ messages }}"
    assert header.metadata["general.alignment"] == 32
    assert {t.name: t.shape for t in header.tensors}["extra.weight"] == (32,)
    assert made.inspection.tensors == header.tensors  # to the offset


def test_a_split_set_holds_the_same_model(e2b: Path, tmp_path: Path) -> None:
    options = wants(type="Q4_0", split_bytes=4_000_000)
    whole = quantize(e2b, tmp_path / "whole.gguf", wants(type="Q4_0")).paths[0]
    planned = quantize(e2b, tmp_path / "part.gguf", as_dry_run(options))
    made = quantize(e2b, tmp_path / "part.gguf", options)
    count = len(made.paths)
    assert count > 1
    assert left_in(tmp_path) == [
        *(f"part-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1)),
        "whole.gguf",
    ]
    sizes = tuple(path.stat().st_size for path in made.paths)
    assert planned.file_bytes == made.file_bytes == sizes
    assert max(sizes) <= 4_000_000
    assert equal_but_for_the_split(read_header(made.paths[0]), read_header(whole))
    # llama.cpp reads it too: quantized to what it is, it becomes the whole file again, byte for byte.
    again = quantize(made.paths[0], tmp_path / "again.gguf", wants(type="Q4_0")).paths[0]
    assert again.read_bytes() == whole.read_bytes()


def equal_but_for_the_split(found: GgufHeader, whole: GgufHeader) -> bool:
    assert [(t.name, t.shape, t.type) for t in found.tensors] == [
        (t.name, t.shape, t.type) for t in whole.tensors
    ]
    extra = found.metadata.keys() - whole.metadata.keys()
    assert extra == {"split.no", "split.count", "split.tensors.count"}
    assert found.metadata["general.name"] == whole.metadata["general.name"]
    return all(data_of(found, t.name) == data_of(whole, t.name) for t in whole.tensors)


def test_a_tensor_cannot_be_divided(e2b: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid, match="a tensor cannot be divided") as caught:
        quantize(e2b, tmp_path / "part.gguf", wants(type="Q8_0", split_bytes=1000))
    least = re.search(r"give (\d+)MB", caught.value.hint)
    assert least is not None
    made = quantize(e2b, None, wants(type="Q8_0", split_bytes=int(least[1]) * 1_000_000, dry_run=True))
    assert max(made.file_bytes) <= int(least[1]) * 1_000_000


def test_a_split_set_is_all_or_nothing(e2b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second file cannot get its name."""
    real = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, to: refuse(path) if to == second else real(path, to))
    planned = quantize(e2b, tmp_path / "part.gguf", wants(type="Q4_0", split_bytes=4_000_000, dry_run=True))
    second = planned.paths[1]
    with pytest.raises(OptionInvalid, match="cannot write"):
        quantize(e2b, tmp_path / "part.gguf", wants(type="Q4_0", split_bytes=4_000_000))
    assert left_in(tmp_path) == []


def refuse(path: Path) -> Path:
    raise PermissionError(13, "Permission denied", str(path))


# --- importance matrices -----------------------------------------------------------------


def write_matrix(path: Path, source: Path, **changes: object) -> Path:
    """Of every matrix in the body: the first columns count for much more."""
    tensors = {}
    for tensor in read_header(source).tensors:
        if tensor_class(tensor) is TensorClass.BODY:
            columns = tensor.shape[0]
            tensors[f"{tensor.name}.in_sum2"] = np.geomspace(1e4, 1e-4, columns, dtype=np.float32)[None]
            tensors[f"{tensor.name}.counts"] = np.ones((1, 1), np.float32)
    metadata = {
        "general.type": "imatrix",
        "imatrix.datasets": ["/home/somebody/secret/text.txt"],
        "imatrix.chunk_count": 7,
        "imatrix.chunk_size": 512,
        **changes,
    }
    path.write_bytes(gguf_bytes(metadata, tensors))
    return path


def test_an_importance_matrix_changes_the_weights_it_knows(e2b: Path, tmp_path: Path) -> None:
    matrix = write_matrix(tmp_path / "text.imatrix", e2b)
    with_it, without = (
        read_header(quantize(e2b, tmp_path / f"{n}.gguf", wants(type="Q4_0", imatrix=file)).paths[0])
        for n, file in enumerate((matrix, None))
    )
    assert data_of(with_it, DOWN) != data_of(without, DOWN)
    assert data_of(with_it, EMBEDDING) == data_of(without, EMBEDDING)
    errors = [column_errors(header, read_header(e2b), DOWN) for header in (with_it, without)]
    assert errors[0][:16].mean() < errors[1][:16].mean() / 1.1  # where it counts
    said = {key: value for key, value in with_it.metadata.items() if key.startswith("quantize.")}
    assert said == {
        "quantize.imatrix.file": "text.imatrix",
        "quantize.imatrix.dataset": "text.txt",
        "quantize.imatrix.entries_count": 7 * 25,
        "quantize.imatrix.chunks_count": 7,
    }
    assert with_it.file_size_bytes == with_it.path.stat().st_size


def column_errors(header: GgufHeader, source: GgufHeader, name: str) -> np.ndarray[Any, Any]:
    """(columns,) mean squared error."""
    import gguf

    kind = next(t.type for t in header.tensors if t.name == name)
    raw = np.frombuffer(data_of(header, name), np.uint8)
    found = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(int(kind))).reshape(-1)
    expected = np.frombuffer(data_of(source, name), "<f2").astype(np.float32)
    columns = next(t.shape[0] for t in header.tensors if t.name == name)
    errors: np.ndarray[Any, Any] = ((found - expected) ** 2).reshape(-1, columns).mean(axis=0)
    return errors


def test_a_matrix_of_another_model_is_refused(e2b: Path, tiny: Path, tmp_path: Path) -> None:
    matrix = write_matrix(tmp_path / "e2b.imatrix", e2b)
    with pytest.raises(OptionInvalid, match=r"is of another model: .* columns in"):
        quantize(tiny, None, wants(type="Q4_0", imatrix=matrix, dry_run=True))
    with pytest.raises(ModelUnsupported, match="no importance matrix"):
        quantize(tiny, None, wants(type="Q4_0", imatrix=tiny, dry_run=True))


# --- the command -------------------------------------------------------------------------


def test_the_command_says_what_would_be_and_writes_nothing(
    e2b: Path, tmp_path: Path, capsys: Capture
) -> None:
    output = tmp_path / "out.gguf"
    assert main(["quantize", str(e2b), "-o", str(output), "--recipe", "edge-8gb", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^ple +Q8_0 +1 ", shown, re.M)
    assert re.search(r"^taken +Q8_0 ", shown, re.M)
    assert "total in memory" in shown and "Fits the budget of 8.00 GB (--recipe edge-8gb)." in shown
    assert "(nothing was written)" in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    assert left_in(tmp_path) == []


def test_the_command_writes_and_speaks_json(e2b: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "out.gguf"
    options = ["--type", "Q4_0", "--ple", "Q8_0", "--context", "512", "--json"]
    assert main(["quantize", str(e2b), "-o", str(output), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["paths"], found["size_bytes"]) == ([str(output)], output.stat().st_size)
    assert {size["class"]: size["types"][0]["type"] for size in found["classes"]}["ple"] == "Q8_0"
    assert found["plan"]["choices"]["context_tokens"] == 512
    assert main(["quantize", str(e2b), "-o", str(output), "--type", "Q4_0"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_help_has_the_recipes(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["quantize", "--help"])
    shown = capsys.readouterr().out
    for row in recipe_named("edge-2gb").rows + recipe_named("speech").rows:
        assert re.search(rf"{row.body} +{row.embedding} +{row.ple} +{row.output} +{row.other}", shown)
