"""The order of sampling settings: a keyword, the manifest, the model's file, ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from edge_tools.convert import convert

from edge_runtime.catalog.catalog import ModelLocation, find_manifest
from edge_runtime.gguf.header import read_header
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.values.records import SamplingOptions

_OURS = SamplingOptions()


@pytest.fixture
def converted(llama: Path, tmp_path: Path) -> Path:
    """A tiny checkpoint whose makers advise some values, and nothing for min_p."""
    (llama / "generation_config.json").write_text(
        '{"temperature": 0.625, "top_k": 7, "top_p": 0.5, "repetition_penalty": 1.25}'
    )
    return convert(llama, tmp_path / "model.gguf").path


def drawn_with(runtime: Runtime, **keywords: Any) -> SamplingOptions:
    """What reached the sampler."""
    seen: list[SamplingOptions] = []
    make_sampler = runtime._backend.make_sampler

    def watch(sampling: SamplingOptions, *rest: Any) -> Any:
        seen.append(sampling)
        return make_sampler(sampling, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime._backend, "make_sampler", watch)
        runtime.generate("the", raw=True, max_tokens=1, **keywords)
    return replace(seen[0], seed=None)


def test_the_files_defaults_count_below_a_keyword_and_above_ours(converted: Path) -> None:
    with Runtime.open(converted, context_tokens=64, threads=1) as runtime:
        file = SamplingOptions(temperature=0.625, top_k=7, top_p=0.5, repeat_penalty=1.25, min_p=_OURS.min_p)
        assert drawn_with(runtime) == file
        assert drawn_with(runtime, temperature=0.25, top_k=None) == replace(file, temperature=0.25)


def test_a_manifest_counts_more_than_the_file(converted: Path) -> None:
    with Runtime.open(converted, context_tokens=64, threads=1) as runtime:
        manifest = find_manifest("smollm2-135m-instruct")
        location = ModelLocation(converted, "known", manifest, None)
        known = Runtime(runtime._opened, location, read_header(converted))
        expected = SamplingOptions(**manifest.sampling)
        assert {"temperature", "top_p", "top_k", "min_p"} == set(manifest.sampling)
        assert drawn_with(known) == replace(expected, repeat_penalty=1.25)  # of which it says nothing
        assert drawn_with(known, top_k=3).top_k == 3
        known.close()
