"""Sampling defaults that a model's makers wrote into its file.

Source of the keys: llama.cpp gguf-py/gguf/constants.py, general.sampling.*. Those for samplers
that this program does not have (xtc, mirostat) are left alone.
"""

from __future__ import annotations

from ..errors import OptionInvalid
from ..values.records import SamplingOptions
from .header import GgufHeader

# Key behind general.sampling. -> name in SamplingOptions.
_FRACTIONS = {
    "temp": "temperature",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repeat_penalty",
}
_INTEGERS = {"top_k": "top_k", "penalty_last_n": "penalty_window_tokens"}
# What a negative number means to llama.cpp: all tokens; the whole context.
_NEGATIVE = {"top_k": 0, "penalty_last_n": 2**20}


def read_sampling(header: GgufHeader) -> dict[str, float]:
    """By the names of SamplingOptions; empty where the file says nothing.

    Raises ModelFileInvalid for a value of another type, or outside its range.
    """
    found: dict[str, float] = {}
    for name, option in {**_FRACTIONS, **_INTEGERS}.items():
        key = f"general.sampling.{name}"
        value = header.metadata.get(key)
        if value is not None:
            found[option] = _checked(header, key, option, _NEGATIVE.get(name), value)
    return found


def _checked(header: GgufHeader, key: str, option: str, negative: int | None, value: object) -> float:
    if isinstance(value, int) and value < 0 and negative is not None:
        return negative
    try:
        options = SamplingOptions(**{option: value})  # type: ignore[arg-type]
    except OptionInvalid as error:
        raise header.invalid(key, error.hint.removeprefix("give "), value) from error
    return getattr(options, option)  # type: ignore[no-any-return]
