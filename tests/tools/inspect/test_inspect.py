"""`edge-runtime inspect`: classes and sizes that add up, a plan, and no control characters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from edge_tools.inspect import inspect_model
from edge_tools.synth import Quantizations, scaled, shape_named, write_model
from edge_tools.tensor_classes import TensorClass, tensor_class
from support.builders import RawTensor, Typed, gguf_bytes, tiny_llama_gguf

from edge_runtime.cli.command_line import main
from edge_runtime.gguf.types import GgmlType, TensorInfo

Capture = pytest.CaptureFixture[str]
FLOAT32, UINT8 = 6, 0
NASTY = "\x1b[31mred\x1b[0m \u202egpj.exe\x07\nsecond line"


def write(path: Path, changes: dict[str, object]) -> Path:
    path.write_bytes(tiny_llama_gguf(changes=changes))
    return path


def test_classes_add_up_to_the_whole_file(tiny: Path) -> None:
    """Hand count. A layer: q, o 2 x 32 x 32; k, v 2 x 32 x 16; gate, up, down 3 x 32 x 64: 9,216."""
    inspection = inspect_model(tiny)
    found = {size.kind: (size.tensors, size.elements, size.size_bytes) for size in inspection.classes}
    assert found == {
        TensorClass.BODY: (14, 18_432, 73_728),
        TensorClass.EMBEDDING: (1, 9_600, 38_400),
        TensorClass.NORMS: (5, 160, 640),
    }
    assert (inspection.elements, inspection.tensor_bytes) == (28_192, 112_768)
    assert inspection.bits_per_weight == 32


def test_each_type_of_a_class_has_its_own_bits(tmp_path: Path, tiny: Path) -> None:
    shape = scaled(shape_named("gemma-3n-e2b"), 0.01).with_values({}, vocabulary_tokens=400)
    types = Quantizations.named(body="Q4_0", embedding="Q6_K", ple="Q5_0", other="Q8_0")
    path = write_model(tmp_path / "e2b.gguf", shape, types, tokenizer=tiny).path
    inspection = inspect_model(path)
    sizes = {size.kind: size for size in inspection.classes}
    assert [kind.value for kind in sizes] == ["body", "embedding", "ple", "other", "norms"]
    assert sizes[TensorClass.BODY].bits_per_weight == 4.5  # 18 bytes for 32 weights
    assert sizes[TensorClass.EMBEDDING].bits_per_weight == 6.5625  # 210 bytes for 256
    assert sizes[TensorClass.PLE].bits_per_weight == 5.5
    assert sizes[TensorClass.OTHER].types[0].type is GgmlType.F32  # AltUp and LAuReL; the larger part
    assert {part.type for part in sizes[TensorClass.OTHER].types} == {GgmlType.F32, GgmlType.Q8_0}
    assert sum(size.size_bytes for size in sizes.values()) == inspection.header.tensor_bytes


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("token_embd.weight", (64, 100), TensorClass.EMBEDDING),
        ("per_layer_token_embd.weight", (64, 100), TensorClass.PLE),
        ("output.weight", (64, 100), TensorClass.OUTPUT),
        ("output_norm.weight", (64,), TensorClass.NORMS),
        ("blk.0.attn_q.bias", (64,), TensorClass.NORMS),
        ("blk.0.ffn_gate_exps.weight", (64, 64, 8), TensorClass.BODY),
        ("blk.0.inp_gate.weight", (64, 64), TensorClass.OTHER),
        ("blk.11.proj.weight", (64, 64), TensorClass.OTHER),
        ("blk.11.laurel_l.weight", (64, 64), TensorClass.OTHER),
        ("per_layer_model_proj.weight", (64, 64), TensorClass.OTHER),
        ("blk.0.ssm_in.weight", (64, 64), TensorClass.BODY),
    ],
)
def test_a_tensor_has_the_class_of_its_job(name: str, shape: tuple[int, ...], expected: TensorClass) -> None:
    assert tensor_class(TensorInfo(name, shape, GgmlType.F32, 0, 0, 0)) is expected


def test_the_table_fits_80_columns_and_has_no_control_characters(tmp_path: Path, capsys: Capture) -> None:
    path = write(
        tmp_path / "nasty.gguf",
        {
            "general.name": NASTY,
            "general.license": NASTY * 9,
            f"a.key{NASTY}.{'x' * 200}": "y" * 500,
            "日本語のキー" * 9: "値" * 99,
        },
    )
    assert main(["inspect", str(path), "--tensors"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert not set(out) & {"\x1b", "\x07", "\u202e"}
    assert "[31mred[0m gpj.exe second line" in out  # what is left of it, on one line


def test_what_is_shown(tiny: Path, capsys: Capture) -> None:
    assert main(["inspect", str(tiny)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tiny.gguf: ")
    assert lines[1] == "tiny llama: llama, 28,192 weights"
    assert "layers 2, width 32, heads 4, kv heads 2, feed forward 64" in lines[2]
    assert "body       F32             14            18,432     73.7 KB         32.00" in lines
    assert any(line.startswith("Memory: ") and "256 tokens" in line for line in lines)
    assert any(line.startswith("Part by part: edge-runtime plan ") for line in lines)
    assert "tokenizer.ggml.tokens                   300 strings: '<unk>', '<s>', '</s>', '<…" in lines
    assert "llama.context_length                    256" in lines
    assert not any("blk.0" in line for line in lines)


def test_tensors_are_listed_when_asked_for(tiny: Path, capsys: Capture) -> None:
    assert main(["inspect", str(tiny), "--tensors"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["blk.1.ffn_down.weight", "F32", "8.19", "KB", "64", "x", "32"] in rows


def test_the_plan_is_the_one_that_plan_gives(tiny: Path, capsys: Capture) -> None:
    assert main(["plan", str(tiny), "--budget", "100GB", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert main(["inspect", str(tiny), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert (plan["total_bytes"], plan["choices"]) == (planned["total_bytes"], planned["choices"])


def test_json_has_everything_and_is_json(tmp_path: Path, capsys: Capture) -> None:
    changes = {
        "x.nan": float("nan"),
        "x.list": [1.5, float("inf")],
        "x.bytes": Typed(UINT8, list(range(9))),
        "x.yes": True,
    }
    path = write(tmp_path / "tiny.gguf", changes)
    assert main(["inspect", str(path), "--json", "--tensors"]) == 0

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found["total"] == {
        "tensors": 20,
        "elements": 28_192,
        "size_bytes": 112_768,
        "bits_per_weight": 32.0,
    }
    assert (found["metadata"]["x.nan"], found["metadata"]["x.yes"]) == ("nan", True)
    assert found["metadata"]["x.list"] == {"type": "float32", "count": 2, "first": [1.5, "inf"]}
    assert found["metadata"]["x.bytes"] == {"type": "uint8", "count": 9, "first": [0, 1, 2, 3]}
    assert found["metadata"]["tokenizer.ggml.tokens"]["count"] == 300
    assert found["facts"]["vocabulary_tokens"] == 300
    row = next(row for row in found["tensors"] if row["name"] == "blk.0.ffn_down.weight")
    assert (row["class"], row["type"], row["shape"], row["size_bytes"]) == ("body", "F32", [64, 32], 8192)


def test_a_value_for_each_layer_becomes_a_range(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.gguf", {"llama.attention.head_count_kv": [1, 4]})
    assert inspect_model(path).facts["kv_heads"] == "1-4"


def test_a_file_that_cannot_run_is_shown_all_the_same(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path / "odd.gguf", {"llama.block_count": 3})
    assert main(["inspect", str(path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "No memory plan: odd.gguf is damaged at llama.block_count" in out
    path.write_bytes(gguf_bytes({"general.architecture": "llama"}))
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["plan"] is None and "no weights" in found["problem"]
    assert found["total"]["bits_per_weight"] == 0


def test_a_file_that_is_none_is_a_model_error(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "page.gguf"
    path.write_bytes(b"<!DOCTYPE html>")
    assert main(["inspect", str(path)]) == 3
    assert "a web page" in capsys.readouterr().err
    assert main(["inspect", "gemma-3-1b-it"]) == 3
    assert "edge-runtime models pull gemma-3-1b-it" in capsys.readouterr().err


def test_weights_of_unknown_names_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    tensors = {
        "what.weight": np.ones((4, 32), np.float32),
        "ids": RawTensor((8,), int(GgmlType.I32), bytes(32)),
    }
    path.write_bytes(gguf_bytes({"general.architecture": "brandnew"}, tensors))
    found = {size.kind: size.elements for size in inspect_model(path).classes}
    assert found == {TensorClass.OTHER: 128, TensorClass.NORMS: 8}
