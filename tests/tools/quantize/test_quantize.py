"""`edge-runtime quantize`: which type each weight gets, by a type, by class, by a recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from edge_tools.quantize import TYPES, QuantizeOptions, quantize, recipe_named
from edge_tools.tensor_classes import TensorClass, tensor_class
from support.quantized_models import (
    DOWN,
    EMBEDDING,
    PLE,
    as_dry_run,
    data_of,
    left_in,
    types_in,
    wants,
    write_e2b,
    write_tiny,
)

from edge_runtime.backends.llama.quantizer_log import TypeAnswer, reader_of
from edge_runtime.errors import MemoryBudgetExceeded, OptionInvalid
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType
from edge_runtime.values.progress import QuietProgress


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def e2b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_e2b(tmp_path_factory.mktemp("e2b") / "e2b.gguf")


@pytest.mark.parametrize(
    "options",
    [
        wants(type="Q5_K_M", ple="Q4_0"),
        wants(type="q8_0", ple="q4_0", other="F16"),
        wants(type="F16", ple="Q8_0"),
        wants(type="Q6_K", body="Q4_0", embedding="IQ4_NL"),
        wants(recipe="edge-8gb", body="Q4_0"),
    ],
    ids=lambda options: f"{options.type or options.recipe}",
)
def test_a_dry_run_knows_the_size_to_the_byte(options: QuantizeOptions, e2b: Path, tmp_path: Path) -> None:
    dry = quantize(e2b, None, as_dry_run(options))
    made = quantize(e2b, tmp_path / "out.gguf", options)
    size_bytes = (tmp_path / "out.gguf").stat().st_size
    assert dry.size_bytes == made.size_bytes == size_bytes
    assert dry.dry_run and not made.dry_run
    assert [(t.name, t.type) for t in dry.inspection.tensors] == list(types_in(tmp_path / "out.gguf").items())
    assert left_in(tmp_path) == ["out.gguf"]


def test_every_class_gets_its_own_type(e2b: Path, tmp_path: Path) -> None:
    choices = {"body": "q4_k_s", "embedding": "Q6_K", "ple": "Q5_K", "other": "Q4_1"}
    path = quantize(e2b, tmp_path / "out.gguf", wants(type="Q8_0", **choices)).paths[0]
    found = types_in(path)
    assert found[PLE] is GgmlType.Q5_K
    assert found[EMBEDDING] is GgmlType.Q6_K
    assert found["blk.9.inp_gate.weight"] is found["blk.9.proj.weight"] is GgmlType.Q4_1
    body = {found[t.name] for t in read_header(e2b).tensors if tensor_class(t) is TensorClass.BODY}
    assert body == {GgmlType.Q4_K, GgmlType.Q5_K}  # the mixture S: a better type for the first layers' parts
    assert read_header(path).metadata["general.file_type"] == 14


def test_small_tensors_stay_where_llama_cpp_keeps_them(e2b: Path) -> None:
    made = quantize(e2b, None, wants(type="Q4_0", other="Q8_0", dry_run=True))
    found = {tensor.name: tensor.type for tensor in made.inspection.tensors}
    kept = [name for name in found if re.search(r"altup|laurel|per_layer_model_proj|norm", name)]
    before = types_in(e2b)
    assert len(kept) > 50
    assert {name: found[name] for name in kept} == {name: before[name] for name in kept}
    assert any("llama.cpp never quantizes them" in note for note in made.notes)


@pytest.mark.parametrize(("name", "expected"), [("Q4_0", "Q4_0"), ("Q4_K_M", "Q4_K"), ("Q8_0", "Q8_0")])
def test_per_layer_embeddings_follow_the_type(name: str, expected: str, e2b: Path) -> None:
    """llama.cpp by itself would make them Q6_K, or an older one leave them in F16."""
    made = quantize(e2b, None, wants(type=name, dry_run=True))
    found = {tensor.name: tensor.type for tensor in made.inspection.tensors}
    assert found[PLE].name == expected
    assert found[EMBEDDING].name == ("Q8_0" if name == "Q8_0" else "Q6_K")  # the output as well


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_made(name: str, tiny: Path, tmp_path: Path) -> None:
    fallbacks = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # llama.cpp's, for rows of 32 and 64
    expected = TYPES[name].base.name
    path = quantize(tiny, tmp_path / "out.gguf", wants(type=name, threads=1)).paths[0]
    assert types_in(path)["blk.0.ffn_up.weight"].name == fallbacks.get(expected, expected)
    assert read_header(path).metadata["general.file_type"] == TYPES[name].file_type


def test_rows_that_a_block_does_not_divide_are_told(tiny: Path) -> None:
    said = Said()
    made = quantize(tiny, None, wants(type="Q4_K_S", dry_run=True), said)
    assert "rows of 64, which blocks of 256 do not divide: Q5_0 instead of Q4_K" in "\n".join(made.notes)
    assert said.lines == [f"warning: {note}" for note in made.notes]


def test_the_log_of_a_row_that_fits_nothing() -> None:
    """Of 40 weights: llama.cpp says so in three messages."""
    answer = TypeAnswer()
    hear = reader_of([answer])
    hear({"task": 0})
    for text in (
        "warning: blk.0.odd.weight                    - ncols     40 not divisible by 256 "
        "(required for type    q6_K) ",
        "(WARNING: must use F16 due to unusual shape) ",
        "-> falling back to     f16\n",
        "[   1/   1] blk.0.odd.weight                    - [    40,     2,     1,     1], type =    f32, ",
        "size =     0.10 MiB ->     0.05 MiB (f16)\n",
    ):
        hear({"log": [2, text]})
    assert answer.types == {"blk.0.odd.weight": GgmlType.F16}
    assert [(f.row_elements, f.wanted.name, f.taken.name) for f in answer.fallbacks] == [(40, "Q6_K", "F16")]


class Said(QuietProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_quantizing_twice_is_warned_about_below_q8(tiny: Path, tmp_path: Path) -> None:
    for kind, is_coarse in (("Q8_0", False), ("Q4_1", True)):
        first = quantize(tiny, tmp_path / f"{kind}.gguf", wants(type=kind)).paths[0]
        notes = "\n".join(quantize(first, None, wants(type="Q5_K_M", dry_run=True)).notes)
        assert ("is quantized already" in notes) is is_coarse


def test_a_recipe_makes_nothing_larger_than_it_is(tmp_path: Path) -> None:
    coarse = write_e2b(tmp_path / "q4.gguf", "Q4_0")
    made = quantize(coarse, tmp_path / "out.gguf", wants(recipe="edge-8gb"))
    assert types_in(made.paths[0]) == types_in(coarse)
    assert made.kept > 100 and not made.notes
    for name in (EMBEDDING, DOWN):
        assert data_of(read_header(made.paths[0]), name) == data_of(read_header(coarse), name)


# --- recipes -----------------------------------------------------------------------------


def test_a_recipe_takes_the_best_row_that_fits(e2b: Path) -> None:
    """Budgets of just what a row needs: it is the first that fits."""
    rows = recipe_named("edge-2gb").rows
    best = quantize(e2b, None, wants(recipe="edge-8gb", dry_run=True))
    assert len(best.tried) == 1
    with pytest.raises(MemoryBudgetExceeded) as caught:
        quantize(e2b, None, wants(recipe="edge-1mb", dry_run=True))
    budget_bytes = int(str(caught.value.facts["minimum_bytes"]))
    for tried in (len(rows), len(rows) - 1):
        made = quantize(e2b, None, wants(recipe=f"edge-{budget_bytes}", dry_run=True))
        assert made.plan is not None and made.plan.fits and not made.plan.choices.streamed_bytes
        assert [one.fits for one in made.tried] == [False] * (tried - 1) + [True]
        assert made.tried[-1].types["embedding"] == rows[tried - 1].embedding
        budget_bytes = made.tried[-2].full_speed_bytes


def test_the_smallest_that_would_fit_is_named(e2b: Path) -> None:
    with pytest.raises(MemoryBudgetExceeded) as caught:
        quantize(e2b, None, wants(recipe="edge-1mb", dry_run=True))
    assert "Q4_K_S with Q4_K embedding" in str(caught.value)
    fitting = re.search(r"edge-\d+mb", caught.value.hint)
    assert fitting is not None
    assert quantize(e2b, None, wants(recipe=fitting[0], dry_run=True)).plan


def test_speech_keeps_five_bits(e2b: Path) -> None:
    made = quantize(e2b, None, wants(recipe="speech", dry_run=True))
    assert min(8 * t.type.block_bytes / t.type.block_elements for t in made.inspection.tensors) == 5.5
    with pytest.raises(MemoryBudgetExceeded, match="speech"):
        quantize(e2b, None, wants(recipe="speech", budget_bytes=1_000_000, dry_run=True))


def test_what_is_said_of_a_class_comes_before_the_recipe(e2b: Path) -> None:
    made = quantize(e2b, None, wants(recipe="edge-8gb", ple="Q4_0", body="Q4_K_S", dry_run=True))
    found = {tensor.name: tensor.type for tensor in made.inspection.tensors}
    assert (found[PLE], found[EMBEDDING]) == (GgmlType.Q4_0, GgmlType.Q8_0)
    assert found["blk.20.ffn_up.weight"] is GgmlType.Q4_K
    assert made.tried[0].types["ple"] == "Q4_0"


def test_a_budget_refuses_what_would_not_fit(e2b: Path, tmp_path: Path) -> None:
    with pytest.raises(MemoryBudgetExceeded, match="the budget is"):
        quantize(e2b, tmp_path / "out.gguf", wants(type="Q8_0", budget_bytes=20_000_000))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (wants(), "either type= or recipe="),
        (wants(type="Q4_0", recipe="speech"), "either type= or recipe="),
        (wants(type="Q3_X"), "no type 'Q3_X'"),
        (wants(type="Q4_0", ple="q9"), "ple: there is no type 'q9'"),
        (wants(recipe="fast"), "no recipe 'fast'"),
        (wants(recipe="edge-small"), "'small' is not a size"),
        (wants(recipe="edge-2gb", budget_bytes=5), "budget= does not go with"),
    ],
)
def test_options_that_make_no_sense(options: QuantizeOptions, words: str, tiny: Path) -> None:
    with pytest.raises(OptionInvalid, match=re.escape(words)) as caught:
        quantize(tiny, None, as_dry_run(options))
    assert caught.value.hint
