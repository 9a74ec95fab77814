"""The families whose checkpoints can be converted, by the architecture that config.json names."""

from __future__ import annotations

from edge_runtime.errors import ModelUnsupported

from ..source.config import Config
from . import gemma, gemma3n, gemma4, llama, phi3, qwen
from .family import Family

FAMILIES: dict[str, Family] = {
    name: family
    for module in (llama, qwen, phi3, gemma, gemma3n, gemma4)
    for family in module.FAMILIES
    for name in family.architectures
}


def family_of(config: Config) -> Family:
    """Raises ModelUnsupported, naming those that are known."""
    text = config.raw.get("text_config")
    for values in (text if isinstance(text, dict) else {}, config.raw):
        names = values.get("architectures")
        if isinstance(names, list) and names:
            if isinstance(names[0], str) and names[0] in FAMILIES:
                return FAMILIES[names[0]]
            raise _unknown(config, names[0])
    raise _unknown(config, None)


def _unknown(config: Config, name: object) -> ModelUnsupported:
    return ModelUnsupported(
        f"{config.path} is of the architecture {str(name)[:80]}, which cannot be converted",
        hint=f"known: {', '.join(sorted(FAMILIES))}",
        path=str(config.path),
        architecture=str(name)[:80],
    )
