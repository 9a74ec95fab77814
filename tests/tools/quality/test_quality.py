"""`edge-runtime quality`: figures that a slow calculation of the same models confirms."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from edge_tools.quality import Quality, measure_quality
from edge_tools.quality.reference_rows import open_reference_rows
from edge_tools.quality.rows import StoredRow, divergence, log_total, relative
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.builders import tiny_gemma3_gguf, tiny_llama_gguf, tiny_llama_tensors
from support.numpy_llama import NumpyLlama

from edge_runtime.backends.llama.evaluation import even_parts, most_step_tokens
from edge_runtime.backends.llama.vocabulary import open_vocabulary
from edge_runtime.cli.command_line import main
from edge_runtime.device.folders import cache_folder
from edge_runtime.errors import BackendFailed, ModelUnsupported, OptionInvalid, StorageFull
from edge_runtime.values.progress import Advance, QuietProgress

Capture = pytest.CaptureFixture[str]
Logits = NDArray[np.float32]
TEXT = "the quick brown fox jumps over a lazy dog, and nobody asked it why. " * 3  # 176 tokens
CONTEXT, CHUNKS, BOS = 40, 4, 1
SCORED = CHUNKS * 19  # of 40 tokens, those after the first 21 have something to go by


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(autouse=True)
def tried_once(user_folder: Path, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the crash guard's children found is remembered from one test to the next."""
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(shared_folder / "home"))


@pytest.fixture(scope="module")
def tiny(shared_folder: Path) -> Path:
    return write(shared_folder / "tiny.gguf", sharper(0))


@pytest.fixture(scope="module")
def other(shared_folder: Path) -> Path:
    return write(shared_folder / "other.gguf", sharper(0.4))


def sharper(noise: float) -> dict[str, Logits]:
    """Random weights, with an embedding that makes some tokens likelier than others."""
    rng = np.random.default_rng(3)
    tensors = {
        name: values + noise * rng.normal(0, 0.1, values.shape)
        for name, values in tiny_llama_tensors().items()
    }
    tensors["token_embd.weight"] = 4 * tensors["token_embd.weight"]
    return {name: values.astype(np.float32) for name, values in tensors.items()}


def write(path: Path, tensors: dict[str, Logits]) -> Path:
    path.write_bytes(tiny_llama_gguf(tensors=tensors))
    return path


def quality_of(model: Path, reference: Path) -> Quality:
    return measure_quality([model], reference, TEXT, context_tokens=CONTEXT)


# --- figures ------------------------------------------------------------------------------


def test_a_model_is_no_distance_from_itself(tiny: Path) -> None:
    quality = quality_of(tiny, tiny)
    found = quality.models[0].divergence
    assert found is not None and 0 <= found.mean.value <= found.maximum < 1e-6
    assert found.top1_agreement == 1
    assert quality.models[0].perplexity == quality.reference.perplexity
    assert (quality.chunks, quality.scored_tokens) == (CHUNKS, SCORED)


def test_the_figures_are_those_of_a_slow_calculation(tiny: Path, other: Path) -> None:
    """The whole model in numpy, and the definitions written out, with 64 bits throughout."""
    quality = quality_of(other, tiny)
    found = quality.models[0].divergence
    assert found is not None
    p, came = slow_distributions(tiny, sharper(0))
    q, _ = slow_distributions(tiny, sharper(0.4))
    apart = (p * (np.log(p) - np.log(q))).sum(axis=1)
    assert 0.001 < apart.mean() < 1  # neither the same nor strangers
    # Keys and values have 16 bits in llama.cpp, rows on disk too.
    assert found.mean.value == pytest.approx(apart.mean(), rel=3e-3)
    assert found.mean.error == pytest.approx(apart.std(ddof=1) / np.sqrt(SCORED), rel=3e-3)
    assert found.median == pytest.approx(np.median(apart), rel=1e-2)
    assert found.percentile_99 == pytest.approx(np.percentile(apart, 99), rel=1e-2)
    assert found.maximum == pytest.approx(apart.max(), rel=1e-2)
    agreement = np.mean(p.argmax(axis=1) == q.argmax(axis=1))
    assert 0.3 < agreement < 1
    assert found.top1_agreement == pytest.approx(agreement, abs=1.5 / SCORED)  # a tie may go either way
    for model, rows in ((quality.reference, p), (quality.models[0], q)):
        surprise = -np.log(rows[np.arange(SCORED), came])
        assert model.perplexity.value == pytest.approx(np.exp(surprise.mean()), rel=1e-3)


def slow_distributions(
    model: Path, tensors: dict[str, Logits]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(scored, vocabulary) probabilities, and the tokens that came."""
    with open_vocabulary(model) as vocabulary:
        tokens = vocabulary.tokens(TEXT)
    slow, rows, came = NumpyLlama(tensors), [], []
    for start in range(0, CHUNKS * CONTEXT, CONTEXT):
        chunk = [BOS, *tokens[start + 1 : start + CONTEXT]]
        logits = slow.run(chunk)[CONTEXT // 2 : CONTEXT - 1]
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows.append(weights / weights.sum(axis=1, keepdims=True))
        came += chunk[CONTEXT // 2 + 1 :]
    return np.concatenate(rows), np.array(came)


def test_several_steps_a_chunk_change_nothing(
    tiny: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large vocabulary makes the steps short: the second half then begins within one."""
    at_once = measure_quality([other], tiny, TEXT, context_tokens=100)
    monkeypatch.setattr("edge_runtime.backends.llama.evaluation.most_step_tokens", lambda _size: 32)
    in_steps = measure_quality([other], tiny, TEXT, context_tokens=100)
    assert at_once.scored_tokens == in_steps.scored_tokens == 49
    one, two = at_once.models[0].divergence, in_steps.models[0].divergence
    assert one is not None and two is not None
    assert two.mean.value == pytest.approx(one.mean.value, rel=3e-3)
    assert in_steps.reference.perplexity.value == pytest.approx(at_once.reference.perplexity.value, rel=1e-3)


def test_sizes_and_progress(tiny: Path, other: Path) -> None:
    progress = _Counting()
    quality = measure_quality([other, tiny], tiny, TEXT, context_tokens=CONTEXT, chunks=2, progress=progress)
    assert [model.path for model in quality.models] == [other, tiny]
    assert quality.models[0].bits_per_weight == 32
    assert quality.models[0].size_bytes == other.stat().st_size
    assert progress.seen == ("quality", "tokens", 3 * 2 * 39, 3 * 2 * 39)


class _Counting(QuietProgress):
    @contextmanager
    def steps(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        done: list[int] = []
        yield done.append
        self.seen = label, unit, total, sum(done)


def test_rows_of_logits_have_a_bound_in_memory() -> None:
    for vocabulary in (300, 49_152, 262_144):
        assert 4 * vocabulary * most_step_tokens(vocabulary) <= 64 << 20
    assert most_step_tokens(300) == 256
    assert list(even_parts(300, 256)) == [(0, 150), (150, 300)]
    for count in range(16, 600):
        parts = list(even_parts(count, 32))
        assert parts[0][0] == 0 and parts[-1][1] == count
        assert all(16 <= end - start <= 32 for start, end in parts)


# --- rows ---------------------------------------------------------------------------------

numbers = st.floats(-60, 60, width=32)
rows = st.lists(numbers, min_size=2, max_size=50).map(lambda values: np.array(values, np.float32))


@given(rows)
def test_a_stored_row_is_the_same_distribution(logits: Logits) -> None:
    row = relative(logits)
    assert row is not None and row.max() == 0
    stored = StoredRow.of(row).row()
    assert stored.max() == 0
    assert np.abs(stored - np.maximum(row, -40)).max() <= 40 / 65535 / 2 * 1.01
    assert divergence(stored, row) < 1e-6


@given(st.integers(2, 50).flatmap(lambda n: st.tuples(*[st.lists(numbers, min_size=n, max_size=n)] * 2)))
def test_divergence_is_its_definition(pair: tuple[list[float], list[float]]) -> None:
    wide = [np.array(values) - max(values) for values in pair]
    logs = [row - np.log(np.exp(row).sum()) for row in wide]
    expected = float((np.exp(logs[0]) * (logs[0] - logs[1])).sum())
    found = divergence(*(row.astype(np.float32) for row in wide))
    assert found >= 0
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_tokens_that_never_come_are_no_trouble() -> None:
    """Some models give them minus infinity."""
    row = relative(np.array([1.0, 3.0, -np.inf, 2.0], np.float32))
    assert row is not None
    assert log_total(row) == pytest.approx(np.log(np.exp([-2, 0, -1]).sum()))
    assert divergence(StoredRow.of(row).row(), row) < 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_seen(bad: float) -> None:
    assert relative(np.array([1.0, bad, 2.0], np.float32)) is None
    assert relative(np.full(3, -np.inf, np.float32)) is None


def test_rows_come_back_in_order_and_the_file_goes(tmp_path: Path, rng: np.random.Generator) -> None:
    given_rows = [relative(rng.normal(0, 3, 100).astype(np.float32)) for _ in range(5)]
    folder = tmp_path / "kept"
    with open_reference_rows(folder, 100, 5) as kept:
        for row in given_rows:
            assert row is not None
            kept.add(row)
        for _ in range(2):
            for row, back in zip(given_rows, kept.read(), strict=True):
                np.testing.assert_allclose(back, row, atol=4e-4)
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_known_before_anything_is_read(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(StorageFull, match="no room in") as caught:
        quality_of(tiny, tiny)
    assert caught.value.facts["needed_bytes"] == 2 * 300 * SCORED
    assert "chunks=" in caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_fills_up_is_told_too(tmp_path: Path) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(StorageFull),
        open_reference_rows(tmp_path, 100, 1) as kept,
    ):
        kept._file = full  # the device behind it has no room
        kept.add(np.zeros(100, np.float32))


# --- refused ------------------------------------------------------------------------------


def test_another_vocabulary_is_named(tiny: Path, shared_folder: Path) -> None:
    gemma = shared_folder / "gemma.gguf"
    gemma.write_bytes(tiny_gemma3_gguf())
    with pytest.raises(ModelUnsupported) as caught:
        quality_of(gemma, tiny)
    expected = "gemma.gguf has another vocabulary than tiny.gguf: token 0 is '<pad>', not '<unk>'"
    assert str(caught.value) == expected


def test_a_text_that_is_too_short_says_by_how_much(tiny: Path) -> None:
    with pytest.raises(OptionInvalid, match="it has 19 tokens, and one chunk needs 256"):
        measure_quality([tiny], tiny, "the quick brown fox")  # 256: what it was trained for


def test_logits_that_are_not_numbers_are_named(tiny: Path, shared_folder: Path) -> None:
    tensors = sharper(0)
    tensors["output_norm.weight"][5] = np.nan
    broken = write(shared_folder / "broken.gguf", tensors)
    with pytest.raises(BackendFailed, match=r"broken\.gguf: chunk 1, token 20: the logits are not numbers"):
        quality_of(broken, tiny)
    assert not cache_folder().exists() or list(cache_folder().glob("quality-*")) == []


# --- the command --------------------------------------------------------------------------


def run(*words: str | Path) -> int:
    return main(["quality", *map(str, words)])


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "fox.txt"
    path.write_text(TEXT)
    return path


def test_the_table_fits_a_terminal(tiny: Path, other: Path, text: Path, capsys: Capture) -> None:
    assert run(tiny, other, "--reference", tiny, "--text", text, "--context", "40", "--chunks", "2") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].split()[:4] == ["FILE", "SIZE", "BITS", "PERPLEXITY"]
    assert [line.split()[0] for line in lines[1:4]] == ["tiny", "tiny", "other"]
    assert lines[2].endswith("0.0000   0.0000 100.0 %")
    assert "2 chunks of 40 tokens; 38 scored, the second half of each." in lines[4]
    assert max(map(len, lines)) <= 80
    assert told.err == ""


def test_programs_get_everything(tiny: Path, other: Path, text: Path, capsys: Capture) -> None:
    assert run(other, "--reference", tiny, "--text", text, "--context", "40", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["chunks"], found["context_tokens"], found["scored_tokens"]) == (CHUNKS, CONTEXT, SCORED)
    assert set(found["models"][0]["kl_divergence_nats"]) == {
        *("mean", "mean_error", "median", "percentile_99", "maximum")
    }
    assert 0 < found["models"][0]["top1_agreement"] < 1
    assert "kl_divergence_nats" not in found["reference"]


@pytest.mark.parametrize("name", ["quality.png", "quality.svg"])
def test_a_picture_is_drawn(tiny: Path, other: Path, text: Path, tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    options = ("--reference", tiny, "--text", text, "--context", "40", "--chunks", "1")
    assert run(tiny, other, *options, "--plot", tmp_path / name) == 0
    begin = (tmp_path / name).read_bytes()[:300]
    assert begin.startswith(b"\x89PNG") if name.endswith("png") else b"<?xml" in begin


def test_a_picture_that_cannot_be_drawn_is_known_first(
    tiny: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run("no-such-model", "--reference", "none", "--text", text, "--plot", "quality.pdf") == 2
    assert "does not end in .png or .svg" in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert run("no-such-model", "--reference", "none", "--text", text, "--plot", "quality.png") == 2
    assert 'pip install "edge-runtime[plot]"' in capsys.readouterr().err


def test_what_cannot_be_read_is_named(tiny: Path, text: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(tiny, "--reference", tiny, "--text", text, "--chunks", "some") == 2
    assert "chunks: 'some' is not a whole number" in capsys.readouterr().err
    assert run(tiny, "--reference", tiny, "--text", tmp_path / "none.txt") == 2
    assert "--text: " in capsys.readouterr().err
