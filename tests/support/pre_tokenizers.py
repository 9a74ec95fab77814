"""Tiny byte-pair vocabularies, one for each pre-tokenizer that llama.cpp knows."""

from __future__ import annotations

from pathlib import Path

from support.builders import gguf_bytes

# Source: llama.cpp src/llama-vocab.cpp at 0c1e57098, llama_vocab::impl::load.
NAMES = tuple(
    """
    default minicpm5 llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano
    deepseek-llm deepseek-coder deepseek-v3 spark2_5 youtu falcon mpt starcoder gpt-2 phi-2 jina-es jina-de
    gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jais-2 gemma4 granite-embed-multi-311m
    sarvam-moe jina-v1-en jina-v2-code roberta-bpe whitespace refact command-r qwen2 deepseek-r1-qwen kormo
    f2llmv2 qwen35 stablelm2 olmo dbrx smaug-bpe poro-chat chatglm-bpe glm4 glm5 viking jais tekken smollm
    codeshell bloom gpt3-finnish exaone exaone4 exaone-moe chameleon minerva-7b megrez gpt-4o llama4 kanana2
    talkie granite-embed-multi-97m tiny_aya cohere2moe superbpe trillion granite-docling bailingmoe
    bailingmoe2 llada-moe seed-coder hunyuan hunyuan-dense hy_v4 joyai-llm kimi-k2 ufakzeka grok-2 afmoe
    laguna minimax-m2 solar-open mellum2
    """.split()
)
CONTROL = "<|im_end|>"
_NORMAL, _CONTROL, _BYTE = 1, 3, 6
_MERGES = ("t h", "th e", "i n", "e r", "a n", "an d", "o n", "0 0", "1 2", "Ġ the", "e Ġ", "A A", ". .")


def write_vocabulary(path: Path, pre: str, **changes: object) -> Path:
    """A GGUF file without weights: control tokens, all bytes (twice: some spell them), some merges."""
    merged = [merge.replace(" ", "") for merge in _MERGES]
    spelled = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", "<s>", "</s>", CONTROL, *_byte_characters(), *merged, "▁", *spelled]
    kinds = [_CONTROL] * 4 + [_NORMAL] * (256 + len(merged) + 1) + [_BYTE] * 256
    metadata = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "whitespace" if pre == "whitespace" else "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": list(_MERGES),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        **changes,
    }
    path.write_bytes(gguf_bytes(metadata))
    return path


def _byte_characters() -> list[str]:
    """GPT-2's letters for bytes: printable ones stand for themselves, others from U+0100 on."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]
