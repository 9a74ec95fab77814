"""The adapter_config.json of a LoRA adapter, and the kinds that a GGUF file cannot hold.

Source: peft tuners/lora/config.py, LoraConfig.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ConversionError, OptionInvalid

from .source.config import Config
from .source.json_file import read_object
from .source.source_error import damaged

CONFIG_NAME = "adapter_config.json"
MERGE = "merge it into its base model with PEFT's merge_and_unload, and convert the merged model"
# What a key asks for when it says anything at all, and GGUF's LoRA cannot hold.
_BEYOND_LORA = {
    "use_dora": "DoRA, which also learns the length of each row",
    "lora_bias": "a bias beside the two matrices",
    "modules_to_save": "whole layers of its own",
    "trainable_token_indices": "embeddings of its own",
    "layer_replication": "layers of the base model more than once",
    "alpha_pattern": "another alpha for some layers",
    "fan_in_fan_out": "matrices stored the other way round",
    "arrow_config": "several adapters with a choice between them",
    "use_qalora": "inputs pooled in groups",
    "use_bdlora": "block-diagonal matrices",
    "kasa_config": "base weights with their smallest parts cut off",
    "monteclora_config": "matrices drawn at random around those stored",
    "invocation_string": "a text after which it begins to act",
}
# Ways to begin training that change the base model's weights too.
_CHANGES_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")
_MOST_INVOCATION_TOKENS = 4096


@dataclass(frozen=True)
class AdapterConfig:
    path: Path
    alpha: float
    rank_stabilized: bool  # scaled by alpha / sqrt(rank), not by alpha / rank
    base: str  # what it says of its base model: a folder or a name, "" where nothing
    invocation_tokens: tuple[int, ...] = ()  # after which an "activated" LoRA begins to act


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Raises ConversionError for a file that cannot be read, or an adapter of another kind."""
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ConversionError(
            f"{folder} has no {CONFIG_NAME}",
            hint=f"give the folder of a PEFT adapter: {CONFIG_NAME}, adapter_model.safetensors",
            path=str(folder),
        )
    config = Config(path, read_object(path))
    _check_kind(config)
    alpha = config.fraction("lora_alpha")
    if not alpha:  # llama.cpp takes 0 for "not given", and applies the adapter in full
        raise config.invalid("lora_alpha", "another number than 0", alpha)
    base = config.get("base_model_name_or_path")
    return AdapterConfig(
        path,
        alpha,
        config.flag("use_rslora"),
        base if isinstance(base, str) else "",
        _invocation_tokens(config),
    )


def base_folder(adapter: AdapterConfig, given: Path | None) -> Path:
    """The folder with the base model's config.json. Raises OptionInvalid where nobody says it."""
    if given is not None:
        return given
    is_elsewhere = adapter.base.startswith(("//", "\\\\"))  # on Windows, another computer's folder
    if adapter.base and not is_elsewhere and (Path(adapter.base) / "config.json").is_file():
        return Path(adapter.base)
    raise OptionInvalid(
        f"{adapter.path} was made for {adapter.base[:120]!r}, which is no folder with a config.json here",
        hint="give the base model's folder, of which only config.json is read: base=",
        option="base",
        value=adapter.base[:200],
    )


def _check_kind(config: Config) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise _refused(config, f"is of the kind {str(kind)[:40]}; only LORA can be converted")
    for key, meaning in _BEYOND_LORA.items():
        if config.get(key):
            raise _refused(config, f"sets {key}: {meaning}", key=key)
    if config.get("bias", "none") not in (None, "none"):
        raise _refused(config, f"sets bias to {str(config.get('bias'))[:40]}: biases of its own", key="bias")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_CHANGES_BASE):
        raise _refused(
            config,
            f"sets init_lora_weights to {start[:40]}: it belongs to weights that are not the base model's",
            key="init_lora_weights",
        )


def _refused(config: Config, problem: str, **facts: object) -> ConversionError:
    return damaged(config.path, problem, hint=MERGE, **facts)


def _invocation_tokens(config: Config) -> tuple[int, ...]:
    tokens = config.get("alora_invocation_tokens") or ()
    if (
        not isinstance(tokens, (list, tuple))
        or len(tokens) > _MOST_INVOCATION_TOKENS
        or not all(isinstance(token, int) and 0 <= token < 2**31 for token in tokens)
    ):
        raise config.invalid("alora_invocation_tokens", "a list of token numbers", tokens)
    return tuple(map(int, tokens))
