"""`edge-runtime imatrix`: sums that a slow calculation confirms, and files that can be trusted."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from edge_tools.imatrix import compute_imatrix, read_imatrix, read_importance_matrix
from numpy.typing import NDArray
from support.builders import RawTensor, gguf_bytes, tiny_llama_gguf, tiny_llama_tensors
from support.numpy_llama import NumpyLlama

from edge_runtime.backends.llama import ggml_tensor
from edge_runtime.backends.llama.activations import MatrixInput, MatrixInputs
from edge_runtime.backends.llama.evaluation import open_evaluator
from edge_runtime.backends.llama.vocabulary import open_vocabulary
from edge_runtime.cli.command_line import main
from edge_runtime.errors import (
    BackendFailed,
    EdgeRuntimeError,
    EngineUnavailable,
    ModelFileInvalid,
    ModelNotFound,
    ModelUnsupported,
    OptionInvalid,
)

Capture = pytest.CaptureFixture[str]
TEXT = "the quick brown fox jumps over a lazy dog, and nobody asked it why. " * 3
TOKENS = 176
CONTEXT = 40
BOS = 1
F16 = 1


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(autouse=True)
def tried_once(user_folder: Path, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the crash guard's children found is remembered from one test to the next."""
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(shared_folder / "home"))


@pytest.fixture(scope="module")
def tiny(shared_folder: Path) -> Path:
    path = shared_folder / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    return path


def chunks_of(model: Path, text: str, count: int) -> list[list[int]]:
    """What is read: CONTEXT tokens at a time, each time with BOS in the first one's place."""
    with open_vocabulary(model) as vocabulary:
        tokens = vocabulary.tokens(text)
    assert len(tokens) == TOKENS
    return [[BOS, *tokens[n * CONTEXT + 1 : (n + 1) * CONTEXT]] for n in range(count)]


# --- computing ----------------------------------------------------------------------------


def test_the_sums_are_those_of_a_slow_calculation(tiny: Path, tmp_path: Path) -> None:
    """For all 14 matrices; of the last layer too, where an ordinary run computes one token only."""
    found = compute_imatrix(tiny, TEXT, tmp_path / "m.gguf", context_tokens=CONTEXT, chunks=3)
    slow, expected = NumpyLlama(tiny_llama_tensors()), {}
    for chunk in chunks_of(tiny, TEXT, 3):
        slow.run(chunk)
        for name, inputs in slow.inputs.items():
            expected[name] = expected.get(name, 0) + (inputs**2).sum(axis=0)
    assert len(expected) == 14 and list(found.uses) == sorted(expected)
    for name, squares in expected.items():
        use = found.uses[name]
        assert use.counts.tolist() == [3 * CONTEXT]
        # Keys and values are kept in 16 bits: 5e-4 of each number.
        np.testing.assert_allclose(use.squares[0], squares, rtol=3e-3, err_msg=name)


def test_what_was_written_is_what_is_read(tiny: Path, tmp_path: Path) -> None:
    found = compute_imatrix(tiny, TEXT, tmp_path / "m.gguf", dataset="fox.txt", context_tokens=64)
    back = read_importance_matrix(found.path)
    assert (back.datasets, back.chunks, back.chunk_tokens) == (("fox.txt",), TOKENS // 64, 64)
    means = read_imatrix(found.path)
    assert list(means) == list(found.uses)
    use = found.uses["blk.1.ffn_down.weight"]
    assert means["blk.1.ffn_down.weight"].shape == (64,)
    np.testing.assert_allclose(
        means["blk.1.ffn_down.weight"], use.squares[0] / (TOKENS // 64 * 64), rtol=1e-6
    )


def test_each_expert_counts_what_it_was_given(tmp_path: Path) -> None:
    """Every token's row enters the router once, and two of four experts."""
    model = tmp_path / "experts.gguf"
    changes = {"llama.expert_count": 4, "llama.expert_used_count": 2}
    model.write_bytes(tiny_llama_gguf(tensors=expert_tensors(), changes=changes))
    found = compute_imatrix(model, TEXT, tmp_path / "m.gguf", context_tokens=CONTEXT, chunks=2)
    for layer in range(2):
        router = found.uses[f"blk.{layer}.ffn_gate_inp.weight"]
        assert router.counts.tolist() == [2 * CONTEXT]
        for name in ("gate", "up", "down"):
            use = found.uses[f"blk.{layer}.ffn_{name}_exps.weight"]
            assert use.squares.shape == (4, 64 if name == "down" else 32)
            assert use.counts.sum() == 2 * 2 * CONTEXT and len(set(use.counts.tolist())) > 1
            if name != "down":
                np.testing.assert_allclose(use.squares.sum(axis=0), 2 * router.squares[0], rtol=1e-5)
    assert read_imatrix(found.path)["blk.0.ffn_down_exps.weight"].shape == (4 * 64,)


def expert_tensors() -> dict[str, NDArray[np.float32]]:
    noise = np.random.default_rng(5)
    shapes = {"gate_inp": (4, 32), "gate_exps": (4, 64, 32), "up_exps": (4, 64, 32), "down_exps": (4, 32, 64)}
    dense = ("ffn_gate.weight", "ffn_up.weight", "ffn_down.weight")
    tensors = {name: value for name, value in tiny_llama_tensors().items() if not name.endswith(dense)}
    for layer in range(2):
        for name, shape in shapes.items():
            tensors[f"blk.{layer}.ffn_{name}.weight"] = noise.normal(0, 0.3, shape).astype(np.float32)
    return tensors


def test_a_model_that_computes_no_numbers_is_named(tmp_path: Path) -> None:
    tensors = tiny_llama_tensors()
    tensors["blk.0.ffn_up.weight"][3, 3] = np.inf
    model = tmp_path / "broken.gguf"
    model.write_bytes(tiny_llama_gguf(tensors=tensors))
    with pytest.raises(BackendFailed, match=r"enters blk\.0\.ffn_down\.weight is infinite or no number"):
        compute_imatrix(model, TEXT, tmp_path / "m.gguf", context_tokens=CONTEXT)
    assert not (tmp_path / "m.gguf").exists()


def test_what_happens_inside_a_callback_comes_out_of_it(tiny: Path) -> None:
    """Ctrl-C would otherwise be printed by ctypes, and forgotten."""

    def interrupt(found: MatrixInput) -> None:
        seen.append(found.weight)
        raise KeyboardInterrupt

    seen: list[str] = []
    inputs = MatrixInputs(frozenset({"blk.0.attn_q.weight", "blk.1.attn_q.weight"}), interrupt)
    with (
        open_evaluator(tiny, context_tokens=32, threads=1, use_extra_bufts=False, inputs=inputs) as evaluator,
        pytest.raises(KeyboardInterrupt),
    ):
        evaluator.read([BOS] * 32)
    assert seen == ["blk.0.attn_q.weight"]


def test_a_build_with_other_tensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shifted(ctypes.Structure):
        _fields_ = (("type", ctypes.c_int), *ggml_tensor.GgmlTensor._fields_[2:])

    ggml_tensor.product_ops.cache_clear()
    monkeypatch.setattr(ggml_tensor, "GgmlTensor", Shifted)
    with pytest.raises(EngineUnavailable, match=r"lays out tensors in another way \(sizes, strides, name"):
        ggml_tensor.product_ops()


# --- refused ------------------------------------------------------------------------------


def test_a_text_that_is_too_short_says_by_how_much(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid, match="it has 19 tokens, and one chunk needs 40") as caught:
        compute_imatrix(tiny, "the quick brown fox", tmp_path / "m.gguf", context_tokens=CONTEXT)
    assert "context_tokens=19" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_tokens": 8}, "at least 16"),
        ({"context_tokens": 257}, "at most the 256 that tiny.gguf was trained for"),
        ({"chunks": 0}, "chunks: 0 is not a whole number from 1"),
        ({"threads": -1}, "threads: -1 is not a whole number from 1"),
    ],
)
def test_options_that_make_no_sense(
    tiny: Path, tmp_path: Path, options: dict[str, int], message: str
) -> None:
    with pytest.raises(OptionInvalid, match=message):
        compute_imatrix(tiny, TEXT, tmp_path / "m.gguf", **options)  # type: ignore[arg-type]


def test_an_output_that_cannot_be_is_refused_before_the_model_is_loaded(tiny: Path, tmp_path: Path) -> None:
    before = tiny.read_bytes()
    with pytest.raises(OptionInvalid, match="exists already"):
        compute_imatrix(tiny, "", tiny)
    with pytest.raises(OptionInvalid, match="is the model itself"):
        compute_imatrix(tiny, "", tiny, force=True)
    with pytest.raises(OptionInvalid, match="cannot write"):
        compute_imatrix(tiny, "", tmp_path / "no" / "m.gguf")
    assert tiny.read_bytes() == before


def test_an_embedding_model_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "embeds.gguf"
    model.write_bytes(tiny_llama_gguf(changes={"llama.pooling_type": 1}))
    with pytest.raises(ModelUnsupported, match=r"embeds\.gguf does not predict the next token"):
        compute_imatrix(model, TEXT, tmp_path / "m.gguf", context_tokens=CONTEXT)


# --- reading ------------------------------------------------------------------------------

SQUARES = np.arange(8, dtype=np.float32).reshape(2, 4)
METADATA = {
    "general.type": "imatrix",
    "imatrix.datasets": ["calibration.txt"],
    "imatrix.chunk_count": 2,
    "imatrix.chunk_size": 512,
}


def write(path: Path, tensors: Mapping[str, NDArray[np.float32] | RawTensor], **changes: object) -> Path:
    metadata = {**METADATA, **{f"imatrix.{key}": value for key, value in changes.items()}}
    path.write_bytes(gguf_bytes({k: v for k, v in metadata.items() if v is not None}, tensors))
    return path


def pair(squares: NDArray[np.float32], counts: list[float]) -> dict[str, NDArray[np.float32] | RawTensor]:
    rows = np.array(counts, np.float32).reshape(-1, 1)
    return {"blk.0.x.weight.in_sum2": squares, "blk.0.x.weight.counts": rows}


def test_means_are_laid_out_for_the_quantizer(tmp_path: Path) -> None:
    """Matrix after matrix; one that saw nothing weighs all its columns alike."""
    path = write(tmp_path / "m.gguf", pair(SQUARES, [2, 0]))
    means = read_imatrix(path)["blk.0.x.weight"]
    assert means.dtype == np.float32
    assert means.tolist() == [0, 0.5, 1, 1.5, 1, 1, 1, 1]
    assert read_importance_matrix(path).unused_matrices == 1


def test_one_count_may_stand_for_all_matrices(tmp_path: Path) -> None:
    """As llama.cpp's own tool writes a weight of several matrices that is no expert's."""
    path = write(tmp_path / "m.gguf", pair(SQUARES.reshape(1, 8), [4]))
    assert read_imatrix(path)["blk.0.x.weight"].tolist() == (np.arange(8) / 4).tolist()


@pytest.mark.parametrize(
    ("tensors", "changes", "message"),
    [
        (pair(SQUARES, [1, 1, 1]), {}, "sums for 3 matrices of one width"),
        (pair(-SQUARES, [1, 1]), {}, "expected sums of squares, found -"),
        (pair(np.full((2, 4), np.nan, np.float32), [1, 1]), {}, "expected sums of squares, found nan"),
        (pair(SQUARES, [1e30, 1]), {}, "at most 1e"),
        (pair(SQUARES, [1, 1]), {"chunk_count": None}, "imatrix.chunk_count: expected a whole number"),
        (pair(SQUARES, [1, 1]), {"chunk_size": "512"}, "imatrix.chunk_size: expected a whole number"),
        ({"blk.0.x.weight.in_sum2": SQUARES}, {}, r"expected a tensor blk\.0\.x\.weight\.counts"),
        ({**pair(SQUARES, [1, 1]), "blk.0.y.weight": SQUARES}, {}, r"at blk\.0\.y\.weight: expected pairs"),
        ({}, {}, "expected pairs of tensors"),
        (
            {**pair(SQUARES, [1, 1]), "blk.0.x.weight.in_sum2": RawTensor((4, 2), F16, bytes(16))},
            {},
            "expected type F32, found F16",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    tmp_path: Path,
    tensors: dict[str, NDArray[np.float32] | RawTensor],
    changes: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(ModelFileInvalid, match=message):
        read_imatrix(write(tmp_path / "m.gguf", tensors, **changes))


def test_a_model_is_no_importance_matrix(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match=r"tiny\.gguf is a GGUF file, but no importance matrix"):
        read_imatrix(tiny)
    with pytest.raises(ModelNotFound):
        read_imatrix(tmp_path / "none.gguf")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", pair(SQUARES, [2, 1]))
    whole = path.read_bytes().rstrip(b"\0")
    for size in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:size])
        with pytest.raises(EdgeRuntimeError):
            read_imatrix(path)


# --- the command --------------------------------------------------------------------------


def run(*words: str | Path) -> int:
    return main(["imatrix", *map(str, words)])


def test_the_command_writes_and_tells(tiny: Path, tmp_path: Path, capsys: Capture) -> None:
    text, out = tmp_path / "fox.txt", tmp_path / "m.gguf"
    text.write_text(TEXT)
    assert run(tiny, "--text", text, "-o", out, "--context", "40", "--chunks", "2") == 0
    told = capsys.readouterr()
    assert "m.gguf: 14 weights, 2 x 40 tokens of fox.txt, " in told.out
    assert told.err == ""
    assert run(tiny, "--text", text, "-o", out) == 2
    assert "--force" in capsys.readouterr().err
    assert run(tiny, "--text", text, "-o", out, "--force", "--context", "40", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["chunks"], found["tensors"], found["size_bytes"]) == (TOKENS // 40, 14, out.stat().st_size)
    assert read_importance_matrix(out).datasets == ("fox.txt",)  # not the folder, which is nobody's business


def test_a_text_that_cannot_be_read(tiny: Path, tmp_path: Path, capsys: Capture) -> None:
    text, out = tmp_path / "fox.txt", tmp_path / "m.gguf"
    assert run(tiny, "--text", text, "-o", out) == 2
    assert "--text: " in capsys.readouterr().err
    text.write_bytes(b"caf\xe9")
    assert run(tiny, "--text", text, "-o", out) == 2
    assert "is not UTF-8: byte 0xe9 at offset 3" in capsys.readouterr().err
    assert not out.exists()
