"""A run and a dry run make the same context: what the one sets, the other sets too."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.backends.backend import BackendOptions
from edge_runtime.backends.context_settings import ContextSettings
from edge_runtime.backends.llama import dry_run
from edge_runtime.backends.llama.backend import LlamaBackend
from edge_runtime.backends.llama.context_params import context_params
from edge_runtime.backends.llama.library import native
from edge_runtime.gguf.types import GgmlType
from edge_runtime.values.kv_type import KvType

# What a run listens to, and a dry run has nobody to tell: no memory depends on it.
CALLBACKS = {"abort_callback", "abort_callback_data", "cb_eval", "cb_eval_user_data"}


def plain(value: Any) -> Any:
    is_pointer = isinstance(value, (ctypes._CFuncPtr, ctypes._Pointer))
    return ctypes.cast(value, ctypes.c_void_p).value if is_pointer else value


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The parameters of each context that is made, by name."""
    seen: list[dict[str, Any]] = []
    make = native().llama_init_from_model

    def record(model: object, params: Any) -> object:
        seen.append({name: plain(getattr(params, name)) for name, *_ in params._fields_})
        return make(model, params)

    monkeypatch.setattr(native(), "llama_init_from_model", record)
    # A dry run listens to the log for as long as its process lives; this one lives longer.
    monkeypatch.setattr(native(), "llama_log_set", lambda *_: None)
    return seen


SETTINGS = [
    ContextSettings(256),
    ContextSettings(128, max_sequences=3, batch_tokens=64, threads=2, flash_attention=False),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_run_and_a_dry_run_have_the_same_parameters(
    tiny: Path, made: list[dict[str, Any]], settings: ContextSettings
) -> None:
    LlamaBackend(tiny, BackendOptions(**vars(settings), gpu_layers=0)).close()
    dry_run._run_here(tiny, settings)
    run, dry = made
    assert {name for name in run if run[name] != dry[name]} <= CALLBACKS
    assert run["abort_callback"] and not dry["abort_callback"]
    assert run["n_ctx"] == settings.context_tokens * settings.max_sequences


@pytest.mark.parametrize("kv_type", KvType)
def test_the_cache_has_the_type_that_was_chosen(kv_type: KvType) -> None:
    params = context_params(ContextSettings(512, kv_type=kv_type))
    assert params.type_k == params.type_v == GgmlType[kv_type.name]


def test_settings_travel_as_json() -> None:
    for settings in (*SETTINGS, ContextSettings(512, kv_type=KvType.Q4_0)):
        assert ContextSettings.from_json(settings.as_json()) == settings
