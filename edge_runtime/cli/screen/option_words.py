"""Error texts of the library, with Python keywords replaced by command-line options.

The library names its keywords: `kv_type: 'f33' is not known`, or `a larger budget= is needed`.
A person at a terminal typed `--kv` and `--budget`.
"""

from __future__ import annotations

import re

# Keyword -> option, for each keyword that an error of the library may name.
OPTION_OF = {
    "against": "--against",
    "answer_tokens": "--answer-tokens",
    "base": "--base",
    "body": "--body",
    "budget": "--budget",
    "budget_bytes": "--budget",
    "channels": "--channels",
    "chunks": "--chunks",
    "context_tokens": "--context",
    "device": "--device",
    "embedding": "--embedding",
    "feed_forward": "--ffn",
    "flash_attention": "--flash-attention",
    "force": "--force",
    "format": "--format",
    "from_adapter": "--from-adapter",
    "from_path": "--from",
    "gpu_layers": "--gpu-layers",
    "grammar": "--grammar",
    "history": "--history",
    "name": "--name",
    "imatrix": "--imatrix",
    "json_schema": "--schema",
    "kv_type": "--kv",
    "language": "--language",
    "limit": "--limit",
    "manifest": "--manifest",
    "max_tokens": "--max-tokens",
    "micro_batch_tokens": "--micro-batch",
    "min_p": "--min-p",
    "other": "--other",
    "output": "--output-type",  # the type of the output matrix, of `quantize`
    "parallel": "--parallel",
    "picture": "--plot",
    "ple": "--ple",
    "ple_locked": "--ple-locked",
    "prompt_tokens": "--prompt-tokens",
    "rate_hz": "--rate",
    "raw": "--raw",
    "recipe": "--recipe",
    "repack": "--repack",
    "repeat": "--repeat",
    "repeat_penalty": "--repeat-penalty",
    "scale": "--scale",
    "seed": "--seed",
    "skip_layers": "--skip-layers",
    "split_bytes": "--split",
    "stop": "--stop",
    "temperature": "--temperature",
    "text": "--text",
    "threads": "--threads",
    "to": "--to",
    "tokenizer": "--tokenizer",
    "top_k": "--top-k",
    "top_p": "--top-p",
    "track": "--track",
    "translator": "--translator",
    "type": "--type",
}
_KEYWORD = "|".join(sorted(OPTION_OF, key=len, reverse=True))
_PREFIX = re.compile(rf"^({_KEYWORD}): ")
_PLAIN = re.compile(r"[\w.:/-]+")
_NAMED = re.compile(rf"\b({_KEYWORD})=(?:(True|False|None)\b|('[^']*'|[\w.]+))?")


def option_words(text: str) -> str:
    """The text with options: `kv_type: ...` becomes `--kv: ...`, `budget='2GB'` `--budget 2GB`.

    `raw=True` becomes `--raw`; False and None, as in `history=None`, become `--no-history`.
    """
    text = _PREFIX.sub(lambda match: f"{OPTION_OF[match[1]]}: ", text)
    return _NAMED.sub(_in_options, text)


def _in_options(match: re.Match[str]) -> str:
    keyword, flag, value = match.groups()
    option = OPTION_OF[keyword]
    if flag in ("False", "None"):
        return option.replace("--", "--no-", 1)
    if value is None:
        return option
    plain = value[1:-1] if value.startswith("'") else value
    return f"{option} {plain if _PLAIN.fullmatch(plain) else value}"
