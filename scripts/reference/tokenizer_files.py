"""Tokenizers for tiny checkpoints, in each family's kind of files, trained on this repository's own text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .cases import VOCABULARY_TOKENS

_PIECES = 400  # of the trained SentencePiece tokenizers; the rest of the vocabulary is padding
_TEMPLATE = (
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
)
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _sentences() -> Iterable[str]:
    """Text to train on: this repository's own."""
    root = Path(__file__).parents[2]
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
