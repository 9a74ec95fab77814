"""The tokenizer check: texts through the real vocabulary and back must come out unchanged."""

from __future__ import annotations

from edge_runtime.backends.llama.vocabulary import Vocabulary, open_vocabulary
from edge_runtime.errors import ModelError
from edge_runtime.gguf.header import GgufHeader

from .report import Findings, Problem

TEXTS = (
    "Rain falls, and 3.14 > 2!",
    "  two spaces,\n\ta tab,\r\n\n a line",
    "Grüße, élève, señor, Ærø, naïve, ẞ",
    "Привет, мир! Γειά σου Κόσμε.",
    "你好，世界。日本語のかな、カナ。 안녕하세요",
    "नमस्ते दुनिया, வணக்கம், สวัสดีชาวโลก",
    "שלום עולם, مرحبا بالعالم",
    "👩‍👩‍👧 🇩🇪 🏳️‍🌈 ∑∞≠ a\u0301",
    "def f(x):\n    return {'a': x ** 2}  # <ok>\n",
    "<s></s><|im_start|>user\n<start_of_turn>",  # as plain text, not as control tokens
    "".join(map(chr, range(32, 127))),
)
# These change letters on purpose: lower case, no accents, other spaces.
_NORMALIZING = {"bert": "WordPiece", "t5": "Unigram"}


def check_tokenizer(header: GgufHeader, findings: Findings) -> bool:
    """Whether texts were tried. The header has passed check_header. Adds to `findings`."""
    if not header.vocabulary_size:
        findings.warning("tokenizer", "a vocabulary", "none: no text can be tried")
        return False
    model = header.metadata.get("tokenizer.ggml.model")
    if isinstance(model, str) and model in _NORMALIZING:
        found = f"{_NORMALIZING[model]}, which changes letters on purpose: no text was tried"
        findings.warning("tokenizer", "one that gives back what it got", found)
        return False
    try:
        with open_vocabulary(header.path) as vocabulary:
            findings.problems += [problem for text in TEXTS if (problem := _try(vocabulary, text))]
    except ModelError as error:
        findings.problem("tokenizer", "a vocabulary that llama.cpp can use", error.hint or str(error))
    return True


def _try(vocabulary: Vocabulary, text: str) -> Problem | None:
    back = vocabulary.round_trip(text)
    if back == f" {text}":  # SentencePiece may put a space before every text
        return None
    back = back if text.startswith(" ") else back.removeprefix(" ")
    if back == text:
        return None
    pairs = enumerate(zip(text, back, strict=False))
    at = next((index for index, (one, other) in pairs if one != other), min(len(text), len(back)))
    shown = slice(max(at - 8, 0), at + 32)
    return Problem("tokenizer", repr(text[shown]), repr(back[shown]))
