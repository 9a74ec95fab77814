"""Models with random weights: written, read back, and the same every time. The engine meets them in real/."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import pytest
from edge_tools.synth import (
    QUANTIZATIONS,
    Quantizations,
    Shape,
    TensorClass,
    scaled,
    shape_named,
    shape_names,
    weights_of,
    write_model,
)
from edge_tools.synth.blocks import WEIGHT_DEVIATION, RandomBlocks, random_blocks, type_for_rows
from support.builders import tiny_llama_gguf

from edge_runtime.cli.command_line import main
from edge_runtime.errors import ModelNotFound, ModelUnsupported, OptionInvalid, StorageFull
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType, GgufStringArray
from edge_runtime.values.progress import Advance, QuietProgress

TOKENS = 400


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A file with 300 tokens."""
    path = tmp_path / "tokenizer.gguf"
    path.write_bytes(tiny_llama_gguf(chat_template="{{ messages }}"))
    return path


def tiny(name: str) -> Shape:
    return scaled(shape_named(name), 0.01).with_values({}, vocabulary_tokens=TOKENS)


@pytest.mark.parametrize("name", shape_names())
def test_every_shape_is_written_and_passes_the_checks(name: str, tmp_path: Path, tokenizer: Path) -> None:
    shape = tiny(name)
    written = write_model(tmp_path / "model.gguf", shape, tokenizer=tokenizer)
    header = read_header(written.path)
    check_header(header)
    assert header.architecture == shape.architecture
    assert header.vocabulary_size == TOKENS
    assert [(t.name, t.shape) for t in header.tensors] == [(w.name, w.shape) for w in weights_of(shape)]
    assert written.size_bytes == header.file_size_bytes == written.path.stat().st_size
    assert sum(row.size_bytes for row in written.classes) == header.tensor_bytes


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"),
    [
        # As in Google's and others' files: what readers of those report.
        ("gemma-4-e2b", 601, 4_647_450_147),
        ("gemma-4-e4b", 720, 7_518_069_290),
        ("gemma-3-1b", 340, 999_885_952),
        ("smollm2-135m", 272, 134_515_008),
        ("qwen2.5-0.5b", 290, 494_032_768),
        ("qwen3-0.6b", 310, 596_049_920),
        ("tinyllama-1.1b", 201, 1_100_048_384),
        ("phi-3-mini-4k", 195, 3_821_079_552),
        # 30 layers of 22 tensors, 7 tables; 847 for 35 layers.
        ("gemma-3n-e2b", 727, 4_458_122_848),
        ("gemma-3n-e4b", 847, 6_868_990_448),
    ],
)
def test_named_shapes_have_the_real_models_tensors(name: str, tensors: int, parameters: int) -> None:
    weights = weights_of(shape_named(name))
    assert (len(weights), sum(weight.elements for weight in weights)) == (tensors, parameters)


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_random_blocks_are_small_finite_numbers(kind: GgmlType) -> None:
    count = 65_536 // kind.block_elements
    raw = random_blocks(np.random.default_rng(1), kind, count)
    assert len(raw) == count * kind.block_bytes
    weights = gguf.quants.dequantize(np.frombuffer(raw, np.uint8), gguf.GGMLQuantizationType(int(kind)))
    weights = weights.astype(np.float64).reshape(-1)
    assert weights.shape == (65_536,)
    assert np.isfinite(weights).all()
    assert np.abs(weights).max() < 0.5
    assert abs(weights.std() / WEIGHT_DEVIATION - 1) < 0.1
    assert abs(weights.mean()) < WEIGHT_DEVIATION / 8  # Q4_0 holds -8 to 7


@pytest.mark.parametrize("kind", [GgmlType.Q4_0, GgmlType.Q4_K, GgmlType.IQ4_NL, GgmlType.BF16])
def test_every_tensor_of_a_file_is_finite(kind: GgmlType, tmp_path: Path, tokenizer: Path) -> None:
    written = write_model(
        tmp_path / "model.gguf",
        tiny("gemma-3n-e2b"),
        Quantizations(kind, kind, kind, kind, kind),
        tokenizer=tokenizer,
    )
    for tensor in gguf.GGUFReader(written.path).tensors:
        weights = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.isfinite(weights).all(), tensor.name
        assert weights.any(), tensor.name


def test_each_class_has_its_own_type(tmp_path: Path, tokenizer: Path) -> None:
    types = Quantizations.named(body="q4_0", embedding="Q6_K", output="F16", ple="Q5_0", other="Q8_0")
    path = write_model(tmp_path / "a.gguf", tiny("gemma-3n-e2b"), types, tokenizer=tokenizer).path
    found = {tensor.name: tensor.type for tensor in read_header(path).tensors}
    assert found["blk.3.ffn_down.weight"] is GgmlType.Q4_0
    assert found["token_embd.weight"] is GgmlType.Q6_K
    assert found["per_layer_token_embd.weight"] is GgmlType.Q5_0
    assert found["blk.0.inp_gate.weight"] is GgmlType.Q8_0
    assert found["altup_proj.weight"] is found["blk.0.laurel_r.weight"] is GgmlType.F32
    assert found["blk.0.altup_predict_coef.weight"] is found["output_norm.weight"] is GgmlType.F32
    path = write_model(tmp_path / "b.gguf", tiny("tinyllama-1.1b"), types, tokenizer=tokenizer).path
    found = {tensor.name: tensor.type for tensor in read_header(path).tensors}
    assert found["output.weight"] is GgmlType.F16


def test_rows_too_short_for_a_type_get_the_one_that_converters_choose() -> None:
    assert type_for_rows(GgmlType.Q6_K, 512) is GgmlType.Q6_K
    assert type_for_rows(GgmlType.Q6_K, 64) is GgmlType.Q8_0
    assert type_for_rows(GgmlType.Q4_K, 64) is GgmlType.Q5_0
    assert type_for_rows(GgmlType.Q4_0, 4) is GgmlType.F16
    assert type_for_rows(GgmlType.Q5_K, 100) is GgmlType.F16


def test_a_long_tensor_repeats_the_pool_in_whole_blocks() -> None:
    size_bytes = 20_000_000 // 18 * 18
    raw = b"".join(RandomBlocks(3).stream(GgmlType.Q4_0, size_bytes))
    scales = np.frombuffer(raw, np.uint8).reshape(-1, 18)[:, :2].copy().view("<f2").astype(np.float32)
    assert len(raw) == size_bytes
    assert 0.003 < scales.min() < scales.max() < 0.006  # a byte out of step and they would be anything


def test_the_seed_decides_every_byte(tmp_path: Path, tokenizer: Path) -> None:
    names = {"a": 7, "b": 7, "c": 8}
    content = {
        name: write_model(tmp_path / name, tiny("smollm2-135m"), seed=seed, tokenizer=tokenizer).path
        for name, seed in names.items()
    }
    assert content["a"].read_bytes() == content["b"].read_bytes() != content["c"].read_bytes()


def test_the_tokenizer_is_padded_and_cut(tmp_path: Path, tokenizer: Path) -> None:
    """The file has 300 tokens."""
    shape = tiny("smollm2-135m")
    header = read_header(write_model(tmp_path / "long.gguf", shape, tokenizer=tokenizer).path)
    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufStringArray)
    assert (tokens[1], tokens[299], tokens[300], tokens[399]) == ("<s>", tokens[299], "[PAD300]", "[PAD399]")
    kinds = header.metadata["tokenizer.ggml.token_type"]
    assert isinstance(kinds, np.ndarray)
    assert kinds.dtype == np.int32
    assert kinds[1] == 3
    assert kinds[399] == 5
    assert header.chat_template == "{{ messages }}"

    short = shape.with_values({}, vocabulary_tokens=2)  # leaves out </s>, the end token
    header = read_header(write_model(tmp_path / "short.gguf", short, tokenizer=tokenizer).path)
    assert header.vocabulary_size == 2
    assert header.metadata["tokenizer.ggml.bos_token_id"] == 1
    assert "tokenizer.ggml.eos_token_id" not in header.metadata


def test_without_a_tokenizer_the_error_says_what_to_pull(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        write_model(tmp_path / "model.gguf", tiny("gemma-3-1b"))
    assert caught.value.hint == "edge-runtime models pull gemma-3-270m"
    assert list(tmp_path.glob("*.gguf")) == []


def test_a_file_is_replaced_only_with_force(tmp_path: Path, tokenizer: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"precious")
    with pytest.raises(OptionInvalid, match="exists already"):
        write_model(path, tiny("smollm2-135m"), tokenizer=tokenizer)
    assert path.read_bytes() == b"precious"
    write_model(path, tiny("smollm2-135m"), tokenizer=tokenizer, force=True)
    assert path.read_bytes().startswith(b"GGUF")


def test_a_full_disk_is_known_before_anything_is_written(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StorageFull) as caught:
        write_model(tmp_path / "model.gguf", tiny("smollm2-135m"), tokenizer=tokenizer)
    assert caught.value.facts["free_bytes"] == 1000
    assert sorted(tmp_path.iterdir()) == before


class _Interrupting(QuietProgress):
    """Ends the writing after the first 100,000 bytes."""

    def __init__(self, error: BaseException) -> None:
        self._error, self._done_bytes = error, 0

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        yield self._advance

    def _advance(self, count: int) -> None:
        self._done_bytes += count
        if self._done_bytes > 100_000:
            raise self._error


@pytest.mark.parametrize(
    ("error", "expected"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "No space left on device"), StorageFull)],
)
def test_an_interrupted_file_leaves_nothing(
    error: BaseException, expected: type[BaseException], tmp_path: Path, tokenizer: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "model.gguf").write_bytes(b"precious")
    with pytest.raises(expected):
        write_model(
            folder / "model.gguf",
            tiny("smollm2-135m"),
            tokenizer=tokenizer,
            force=True,
            progress=_Interrupting(error),
        )
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("model.gguf", b"precious")]


def test_a_missing_folder_is_our_error(tmp_path: Path, tokenizer: Path) -> None:
    with pytest.raises(OptionInvalid, match="No such file"):
        write_model(tmp_path / "nowhere" / "model.gguf", tiny("smollm2-135m"), tokenizer=tokenizer)


def test_a_scaled_gemma_3n_keeps_what_llama_cpp_has_as_constants() -> None:
    for scale in (0.01, 0.5, 0.9):
        shape = scaled(shape_named("gemma-3n-e4b"), scale)
        assert shape.owning_layers == 20
        assert shape.layers > 20
        assert shape.number("embedding_length_per_layer_input") == 256
        sparsity = shape.metadata()["gemma3n.activation_sparsity_scale"]
        assert [value > 0 for value in sparsity] == [True] * 10 + [False] * (shape.layers - 10)


def test_a_scaled_gemma_4_keeps_both_kinds_of_layers_with_and_without_a_cache() -> None:
    shape = scaled(shape_named("gemma-4-e2b"), 0.5)
    metadata = shape.metadata()
    assert (shape.layers, shape.owning_layers) == (20, 10)  # cycles of 5: 3 that own and 4 that share, halved
    assert metadata["gemma4.feed_forward_length"] == [3072] * 10 + [6144] * 10
    assert metadata["gemma4.attention.sliding_window_pattern"] == [True, True, True, True, False] * 4


def test_scaling_by_one_changes_nothing() -> None:
    shape = shape_named("qwen3-0.6b")
    assert scaled(shape, 1) == shape


@pytest.mark.parametrize("scale", [0, -1, 1.5, float("nan")])
def test_a_scale_outside_its_range_is_refused(scale: float) -> None:
    with pytest.raises(OptionInvalid, match="scale"):
        scaled(shape_named("qwen3-0.6b"), scale)


def test_a_shape_of_ones_own_builds_on_a_named_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    changes = {"block_count": 25, "attention.shared_kv_layers": 5, "feed_forward_length": {"cycle": [256]}}
    path.write_text(json.dumps({"base": "gemma-3n-e2b", "hyperparameters": changes}))
    shape = shape_named(path)
    assert (shape.name, shape.architecture, shape.layers, shape.width) == ("mine", "gemma3n", 25, 2048)
    assert shape_named(str(path)) == shape


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", 0),
        ("block_count", "many"),
        ("feed_forward_length", [256] * 3),
        ("feed_forward_length", {"cycle": []}),
        ("feed_forward_length", {"runs": [["half", 256]]}),
        ("feed_forward_length", {"runs": [["rest", None]]}),
        ("altup.num_inputs", 2),
        ("attention.shared_kv_layers", 11),
        ("rope.freq_base", None),
        ("context_length", 2**40),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(
    key: str, value: object, tmp_path: Path, tokenizer: Path
) -> None:
    shape = shape_named("gemma-3n-e2b").with_values({key: value}, vocabulary_tokens=TOKENS)
    with pytest.raises(OptionInvalid) as caught:
        write_model(tmp_path / "model.gguf", shape, tokenizer=tokenizer)
    assert caught.value.facts["option"] == key
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"bass": 1}', '{"base": "x"}', '{"hyperparameters": 1}', "[" * 100_000]
)
def test_a_file_that_is_no_shape_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(OptionInvalid):
        shape_named(path)


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(ModelNotFound) as missing:
        shape_named("gemma-5")
    assert "gemma-3n-e2b" in missing.value.hint
    with pytest.raises(OptionInvalid) as quantization:
        Quantizations.named(ple="Q1")
    assert quantization.value.facts == {
        "option": "ple",
        "value": "Q1",
        "allowed": [k.name for k in QUANTIZATIONS],
    }
    with pytest.raises(ModelUnsupported) as family:
        weights_of(Shape("mine", "mamba", 10))
    assert "gemma3n" in family.value.hint


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.gguf"
    command = ["synth", "qwen2.5-0.5b", "-o", str(path), "--scale", "0.01", "--tokenizer", str(tokenizer)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["CLASS", "TYPE", "TENSORS", "SIZE"]
    assert [line.split()[0] for line in lines[1:-1]] == ["body", "embedding", "norm", "small"]
    assert f"{path.stat().st_size:,} bytes" in lines[-1]

    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err

    assert main([*command, "--force", "--json", "--body", "Q8_0", "--seed", "3"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["size_bytes"] == path.stat().st_size
    assert result["seed"] == 3
    assert result["classes"][0]["type"] == "Q8_0"
    assert {row["class"] for row in result["classes"]} <= {kind.value for kind in TensorClass}
