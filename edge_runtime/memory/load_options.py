"""The settings a model is planned and opened with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, TypedDict, TypeVar

from ..errors import OptionInvalid
from ..values.checks import whole_number, whole_number_or_none
from ..values.kv_type import KvType
from ..values.units import ByteUnits, byte_units_of, parse_bytes
from .part import MemoryPart
from .plan import PlePolicy

_PLE_CHOICES = (PlePolicy.CACHE, PlePolicy.MAPPED, PlePolicy.RESIDENT)

Choice = TypeVar("Choice", bound=Enum)


class LoadKeywords(TypedDict, total=False):
    """The fields of LoadOptions as keyword arguments."""

    budget: str | int | None
    context_tokens: int | None
    kv_type: KvType | str | None
    micro_batch_tokens: int | None
    repack: bool | None
    flash_attention: bool | None
    ple: PlePolicy | str | None
    ple_locked: str | int | None
    parallel: int
    threads: int | None
    gpu_layers: int | None
    residency: bool
    beside: Sequence[MemoryPart]
    children: bool | None
    byte_units: ByteUnits | None


@dataclass(frozen=True)
class LoadOptions:
    """What the caller fixes about a model; None leaves the choice to the planner.

    Sizes and names may be given as text. Afterwards `budget` and `ple_locked` are bytes,
    `kv_type` and `ple` members of their enums.
    Raises OptionInvalid for a value that is none of the allowed.
    """

    # The most memory it may take, "2GB" or bytes; default what is safe on this device now.
    budget: str | int | None = None
    # Of each of `parallel` conversations; default up to 4096.
    context_tokens: int | None = None
    # "f16", "q8_0" or "q4_0".
    kv_type: KvType | str | None = None
    # How many tokens of a prompt are evaluated at once.
    micro_batch_tokens: int | None = None
    # Copy weights into the order that this processor multiplies fastest.
    repack: bool | None = None
    # Less memory; slower on x86 with attention heads of up to 128 numbers.
    flash_attention: bool | None = None
    # Where per-layer embeddings live: "cache", "mapped" or "resident".
    ple: PlePolicy | str | None = None
    # How much of them always stays in memory beside the cache, "16MB", from the lowest token id on.
    ple_locked: str | int | None = None
    # Conversations at a time.
    parallel: int = 1
    # Default: the physical cores that this process may use.
    threads: int | None = None
    # How many layers a GPU takes; default all, 0 for none.
    gpu_layers: int | None = None
    # False leaves all pages to the system, for comparison; the default budget is then none.
    residency: bool = True
    # What else the budget has to hold, such as speech_parts().
    beside: Sequence[MemoryPart] = ()
    # Whether child processes may try out what could end this one: see why_no_children().
    children: bool | None = None
    # Of sizes in messages; default those that the budget is given in.
    byte_units: ByteUnits | None = None

    def __post_init__(self) -> None:
        for name in ("context_tokens", "micro_batch_tokens", "threads"):
            self._keep(name, whole_number_or_none(name, getattr(self, name)))
        self._keep("parallel", whole_number("parallel", self.parallel))
        self._keep("gpu_layers", whole_number_or_none("gpu_layers", self.gpu_layers, low=0))
        self._keep("byte_units", self.units)
        self._keep("kv_type", self.kv)
        self._keep("ple", self.ple_policy)
        self._keep("ple_locked", self.ple_locked_bytes or None)
        self._keep("budget", self.budget_bytes)
        self._keep("beside", tuple(self.beside))

    def _keep(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def as_json(self) -> dict[str, Any]:
        """LoadOptions(**it) is the same again, without `beside`: those parts stay in this process."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "beside"}
        return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}

    @property
    def budget_bytes(self) -> int | None:
        return None if self.budget is None else parse_bytes(self.budget)

    @property
    def units(self) -> ByteUnits:
        return byte_units_of(self.budget) if self.byte_units is None else ByteUnits(self.byte_units)

    @property
    def kv(self) -> KvType | None:
        return None if self.kv_type is None else _one_of(tuple(KvType), self.kv_type, "kv_type")

    @property
    def ple_policy(self) -> PlePolicy | None:
        return None if self.ple is None else _one_of(_PLE_CHOICES, self.ple, "ple")

    @property
    def ple_locked_bytes(self) -> int:
        return 0 if self.ple_locked is None else parse_bytes(self.ple_locked, option="ple_locked")


def load_options(options: LoadOptions | None, keywords: Mapping[str, Any]) -> LoadOptions:
    """`options` with the keywords in place of its own values.

    Raises OptionInvalid, and TypeError for a keyword that LoadOptions does not have.
    """
    if options is None:
        return LoadOptions(**keywords)
    return replace(options, **keywords) if keywords else options


def _one_of(allowed: Sequence[Choice], found: Choice | str, option: str) -> Choice:
    for member in allowed:
        if found is member or found == member.value:
            return member
    text = str(found.value if isinstance(found, Enum) else found)[:40]
    names = ", ".join(str(member.value) for member in allowed)
    raise OptionInvalid(f"{option}: {text!r} is not known", hint=f"one of {names}", option=option)
