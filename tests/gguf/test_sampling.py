"""Sampling defaults in a file: read, bounded, refused where they make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import BOOL, FLOAT32, INT32, Typed, tiny_llama_gguf
from support.gguf_files import header_of

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.sampling import read_sampling

NAN, INFINITY = float("nan"), float("inf")


def floats(value: float) -> Typed:
    return Typed(FLOAT32, value)


def test_the_keys_of_llama_cpp_become_our_options(tmp_path: Path) -> None:
    changes = {
        "general.sampling.temp": floats(0.625),
        "general.sampling.top_p": floats(0.875),
        "general.sampling.min_p": floats(0.125),
        "general.sampling.penalty_repeat": floats(1.25),
        "general.sampling.top_k": Typed(INT32, 7),
        "general.sampling.penalty_last_n": Typed(INT32, 33),
        "general.sampling.mirostat_tau": floats(5.0),  # a sampler that is not here
    }
    header = header_of(tmp_path, tiny_llama_gguf(changes=changes))
    check_header(header)
    assert read_sampling(header) == {
        "temperature": 0.625,
        "top_p": 0.875,
        "min_p": 0.125,
        "repeat_penalty": 1.25,
        "top_k": 7,
        "penalty_window_tokens": 33,
    }


def test_a_file_that_says_nothing_has_no_defaults(tmp_path: Path) -> None:
    assert read_sampling(header_of(tmp_path, tiny_llama_gguf())) == {}


def test_negative_numbers_mean_what_they_do_to_llama_cpp(tmp_path: Path) -> None:
    changes = {
        "general.sampling.top_k": Typed(INT32, -1),
        "general.sampling.penalty_last_n": Typed(INT32, -1),
    }
    found = read_sampling(header_of(tmp_path, tiny_llama_gguf(changes=changes)))
    assert found == {"top_k": 0, "penalty_window_tokens": 2**20}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temp", floats(-1.0)),
        ("temp", floats(NAN)),
        ("temp", floats(INFINITY)),
        ("temp", "hot"),
        ("temp", Typed(BOOL, True)),
        ("top_p", floats(1.5)),
        ("min_p", floats(-0.1)),
        ("penalty_repeat", floats(0.0)),
        ("top_k", floats(2.5)),
        ("top_k", "many"),
        ("penalty_last_n", Typed(INT32, 2**30)),
        ("top_k", Typed(INT32, [1, 2])),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_like_any_other(
    tmp_path: Path, name: str, value: object
) -> None:
    key = f"general.sampling.{name}"
    header = header_of(tmp_path, tiny_llama_gguf(changes={key: value}))
    with pytest.raises(ModelFileInvalid, match=key) as caught:
        check_header(header)
    assert caught.value.facts["key"] == key and "number" in str(caught.value)
