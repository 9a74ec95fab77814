"""Comparison of a plan with a real run: a child process loads the model as planned and is watched.

    python -m edge_runtime.bench.plan_check TASK        TASK: JSON, see MeasureTask

The peak is taken after loading: while loading, whole files pass through memory.
"""

from __future__ import annotations

import random
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..device.children import run_child
from ..device.children.answer import answer_task
from ..device.process_memory import PeakSampler, process_memory
from ..errors import ChildUnavailable, EngineUnavailable, OptionInvalid
from ..memory import LoadOptions, MemoryChoices, MemoryPlan, PartKind, PlePolicy
from ..memory.expected import expected_at

if TYPE_CHECKING:
    from ..backends.llama.dry_run import DryRunSizes
    from ..gguf.header import GgufHeader

MOST_PROMPT_TOKENS = 2048
_ANSWER_TOKENS, _SPARE_TOKENS = 16, 40
_TIME_LIMIT_S = 900.0


@dataclass(frozen=True)
class MeasureTask:
    """What the child opens the model with, and how much it runs."""

    path: str
    options: LoadOptions
    prompt_tokens: int
    answer_tokens: int

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "options": self.options.as_json()}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> MeasureTask:
        return cls(**{**found, "options": LoadOptions(**found["options"])})


@dataclass(frozen=True)
class Found:
    """What the child saw of itself."""

    anonymous_bytes: int  # with the page tables
    file_bytes: int
    locked_bytes: int
    model_file_bytes: int  # of file_bytes: pages of the model's own files, at the end
    choices: dict[str, Any]  # of the child's own plan


@dataclass(frozen=True)
class Comparison:
    name: str
    planned_bytes: int
    measured_bytes: int

    @property
    def error(self) -> float:
        """Planned over measured, less 1: above 0 where the plan says too much."""
        if not self.measured_bytes:
            return float(self.planned_bytes > 0)
        return self.planned_bytes / self.measured_bytes - 1

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "planned_bytes": self.planned_bytes,
            "measured_bytes": self.measured_bytes,
            "error": self.error,
        }


@dataclass(frozen=True)
class Measured:
    """A plan beside what a child process held."""

    found: Found
    expected: MemoryPlan  # the plan, at the tokens that were run
    task: MeasureTask
    groups: tuple[Comparison, ...]  # the last one is the total
    parts: tuple[Comparison, ...]  # those that can be told apart
    as_planned: bool  # False: the child's planner chose otherwise

    @property
    def total_bytes(self) -> int:
        return self.found.anonymous_bytes + self.found.file_bytes

    @property
    def error(self) -> float:
        """Of the total: see Comparison."""
        return self.groups[-1].error

    def as_json(self) -> dict[str, Any]:
        return {
            "anonymous_bytes": self.found.anonymous_bytes,
            "file_bytes": self.found.file_bytes,
            "locked_bytes": self.found.locked_bytes,
            "total_bytes": self.total_bytes,
            "expected_bytes": self.expected.total_bytes,
            "error": self.error,
            "prompt_tokens": self.task.prompt_tokens,
            "answer_tokens": self.task.answer_tokens,
            "as_planned": self.as_planned,
            "groups": [group.as_json() for group in self.groups],
            "parts": [part.as_json() for part in self.parts],
        }


def measure(
    header: GgufHeader,
    plan: MemoryPlan,
    options: LoadOptions,
    *,
    most_prompt_tokens: int = MOST_PROMPT_TOKENS,
) -> Measured:
    """Run `plan` in a child process. `options`: what the plan was made from.

    The prompt is random token ids and fills the context, up to `most_prompt_tokens`.
    Raises what Runtime.open() and generate() raise, EngineUnavailable when the child dies,
    OptionInvalid on a system that does not tell kinds of memory apart.
    """
    task = task_of(header, plan, options, most_prompt_tokens)
    return compare(header, plan, task, _run_child(task), _logged(task, plan))


def task_of(
    header: GgufHeader, plan: MemoryPlan, options: LoadOptions, most_prompt_tokens: int
) -> MeasureTask:
    """The plan's choices, fixed. Where weights are streamed the child plans again from the same
    options: how much is streamed cannot be fixed, and follows from them."""
    choices = plan.choices
    prompt = max(min(choices.context_tokens - _SPARE_TOKENS, most_prompt_tokens), 1)
    asked = replace(options, budget=plan.budget_bytes, threads=choices.threads, gpu_layers=0)
    return MeasureTask(
        path=str(header.path),
        options=asked if choices.streamed_bytes else _fixed(asked, choices),
        prompt_tokens=prompt,
        answer_tokens=max(min(_ANSWER_TOKENS, choices.context_tokens - prompt), 1),
    )


def _fixed(options: LoadOptions, choices: MemoryChoices) -> LoadOptions:
    return replace(
        options,
        context_tokens=choices.context_tokens,
        kv_type=choices.kv_type,
        micro_batch_tokens=choices.micro_batch_tokens,
        repack=choices.repack,
        flash_attention=choices.flash_attention,
        ple=None if choices.ple_policy is PlePolicy.NONE else choices.ple_policy,
    )


def compare(
    header: GgufHeader, plan: MemoryPlan, task: MeasureTask, found: Found, logged: DryRunSizes
) -> Measured:
    """Groups against the plan at so many tokens, what llama.cpp allocates against the plan as it is."""
    expected = expected_at(plan, task.prompt_tokens, header, answer_tokens=task.answer_tokens)
    total_bytes = found.anonymous_bytes + found.file_bytes
    groups = (
        Comparison("anonymous", expected.anonymous_bytes, found.anonymous_bytes),
        Comparison("file-backed", expected.file_bytes, found.file_bytes),
        Comparison("locked", expected.locked_bytes, found.locked_bytes),
        Comparison("total", expected.total_bytes, total_bytes),
    )
    libraries = expected.part_bytes(PartKind.LIBRARIES)
    buffers, touched = plan.buffer_bytes, expected.buffer_bytes
    cache = plan.part_bytes(PartKind.KV_CACHE)
    logged_touched = logged.compute_bytes * touched // max(buffers, 1)
    other = found.anonymous_bytes - logged.kv_bytes - logged_touched
    parts = (
        Comparison("model file", expected.file_bytes - libraries, found.model_file_bytes),
        Comparison("libraries", libraries, found.file_bytes - found.model_file_bytes),
        Comparison("KV cache", cache, logged.kv_bytes),
        Comparison("compute buffers and masks", buffers, logged.compute_bytes),
        Comparison("other anonymous", expected.anonymous_bytes - cache - touched, other),
    )
    nonzero = tuple(part for part in parts if part.planned_bytes or part.measured_bytes)
    return Measured(found, expected, task, groups, nonzero, found.choices == plan.choices.as_json())


def _logged(task: MeasureTask, plan: MemoryPlan) -> DryRunSizes:
    """In another child: to listen to llama.cpp's log from the beginning on, its library has to be
    loaded before the file's header is read, and that leaves 4 MB more of freed heap."""
    from ..backends.context_settings import ContextSettings
    from ..backends.llama.dry_run import dry_run

    return dry_run(Path(task.path), ContextSettings.of_plan(plan), children=task.options.children)


# --- the child ---------------------------------------------------------------------------


def _run_child(task: MeasureTask) -> Found:
    """Raises the error that the child met, EngineUnavailable when it died, ChildUnavailable."""
    try:
        end = run_child(
            "edge_runtime.bench.plan_check",
            task.as_json(),
            limit_s=_TIME_LIMIT_S,
            children=task.options.children,
        )
    except ChildUnavailable as error:
        raise ChildUnavailable(
            f"measuring needs a child process: {error}",
            hint="without measure=True the plan is made by arithmetic, which needs none",
        ) from error
    if end.error is not None:
        raise type(end.error)(f"measuring: {end.error}", hint=end.error.hint, **end.error.facts)
    if end.answer is None:
        raise EngineUnavailable(f"the child process that measures {task.path}: {end.describe()}")
    return Found(**end.answer)


def _run_here(task: MeasureTask) -> Found:
    from ..runtime.runtime import Runtime

    with Runtime.open(task.path, task.options) as runtime:
        draw = random.Random(0)
        prompt = [draw.randrange(runtime.vocabulary_size) for _ in range(task.prompt_tokens)]
        with PeakSampler() as sampler:
            runtime.generate(prompt, max_tokens=task.answer_tokens, ignore_end=True)
        if sampler.peak_anonymous_bytes is None or sampler.peak_file_bytes is None:
            raise OptionInvalid("measure: this system does not say what a process holds", option="measure")
        return Found(
            anonymous_bytes=sampler.peak_anonymous_bytes + _page_table_bytes(),
            file_bytes=sampler.peak_file_bytes,
            locked_bytes=process_memory().locked_bytes or 0,
            model_file_bytes=file_pages_bytes(runtime.model_path, Path("/proc/self/smaps").read_text()),
            choices=runtime.plan.choices.as_json(),
        )


def _page_table_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) * 1024 for words in lines if words[0] == "VmPTE:"), 0)


def file_pages_bytes(path: Path, smaps: str) -> int:
    """Resident bytes of the maps of this file, and of the others of a split model beside it."""
    start = str(path.resolve()).split("-00001-of-")[0]
    total_kib, inside = 0, False
    for line in smaps.splitlines():
        words = line.split(maxsplit=5)
        if "-" in words[0] and not words[0].endswith(":"):
            inside = len(words) == 6 and words[5].startswith(start)
        elif inside and words[0] == "Rss:":
            total_kib += int(words[1])
    return total_kib * 1024


def main() -> int:
    return answer_task(lambda task: asdict(_run_here(MeasureTask.from_json(task))))


if __name__ == "__main__":
    sys.exit(main())
