"""Option values of the wrong kind end at once, in our error or in an answer: never in waiting."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.scripted_backend import MakeRuntime

from edge_runtime.errors import OptionInvalid
from edge_runtime.values.records import ContextPolicy

_SOON_S = 10.0


def outcome_of(runtime: Any, **options: Any) -> Any:
    """The reply or the error, within seconds."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(runtime.generate("Hi", **options))
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_SOON_S)
    assert found, f"{options} hangs"
    return found[0]


@pytest.mark.parametrize("options", [{"seed": 42.0}, {"top_k": 40.0}, {"max_tokens": 3.0}])
def test_a_whole_float_is_a_whole_number(make_runtime: MakeRuntime, options: Any) -> None:
    runtime, _ = make_runtime(["abc"])
    assert outcome_of(runtime, **options).text in ("abc", "abc"[:3])


WRONG: list[dict[str, Any]] = [
    {"seed": 42.5},
    {"seed": "42"},
    {"seed": True},
    {"top_k": 1.5},
    {"temperature": "hot"},
    {"temperature": [0.5]},
    {"max_tokens": 2.5},
    {"grammar": "root ::= \ud800"},
    {"grammar": 7},
    {"stop": 7},
    {"stop": [7]},
    {"stop": "\udfff"},
    {"context_policy": "drop"},
    {"context_policy": 7},
    {"top_logprobs": 1.5},
    {"json_schema": {"type": object()}},
    {"system": "x", "raw": True},
    {"temprature": 1.0},
]


@pytest.mark.parametrize("options", WRONG, ids=str)
def test_a_wrong_value_is_refused_by_its_name(make_runtime: MakeRuntime, options: dict[str, Any]) -> None:
    runtime, _ = make_runtime(["abc"])
    error = outcome_of(runtime, **options)
    assert isinstance(error, OptionInvalid) and error.hint
    assert error.option in options
    assert outcome_of(runtime).text == "abc"  # and the engine serves


@pytest.mark.parametrize("prompt", [None, 7, 1.5, object(), [None], ["a"], [[1]], [300]])
def test_a_prompt_that_is_none_is_refused(make_runtime: MakeRuntime, prompt: Any) -> None:
    runtime, _ = make_runtime(["abc"])
    with pytest.raises(OptionInvalid, match=r"^prompt: ") as caught:
        runtime.generate(prompt)
    assert caught.value.option == "prompt"


def test_a_policy_may_be_given_by_its_word(make_runtime: MakeRuntime) -> None:
    runtime, _ = make_runtime(["abc"] * 2)
    for policy in ("drop-oldest", ContextPolicy.STOP.value):
        assert outcome_of(runtime, context_policy=policy).text == "abc"
