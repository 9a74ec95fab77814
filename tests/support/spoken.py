"""Events as a recognizer would give them, for the tests."""

from __future__ import annotations

from edge_runtime.speech.recognition.transcript import EventKind, TranscriptEvent, TranscriptWord


def spoken(text: str, start_s: float = 0.0, word_s: float = 0.4) -> tuple[TranscriptWord, ...]:
    """Each word takes `word_s`, without a gap; a space before each, as Whisper gives them."""
    return tuple(
        TranscriptWord(f" {word}", start_s + n * word_s, start_s + (n + 1) * word_s, 0.9)
        for n, word in enumerate(text.split())
    )


def final(
    words: tuple[TranscriptWord, ...], utterance: int = 1, *, ends: bool = True, language: str = "en"
) -> TranscriptEvent:
    return TranscriptEvent(
        EventKind.FINAL,
        words[0].start_s if words else 0.0,
        words[-1].end_s if words else 0.0,
        "".join(word.text for word in words).strip(),
        language,
        words,
        utterance,
        ends,
        commit_latency_s=1.25,
    )


def untimed(text: str, start_s: float, end_s: float, utterance: int = 1) -> TranscriptEvent:
    """A translation: no words."""
    return TranscriptEvent(EventKind.FINAL, start_s, end_s, text, "en", (), utterance, True)


def partial(text: str) -> TranscriptEvent:
    return TranscriptEvent(EventKind.PARTIAL, 1.0, 2.0, text, "en")


END = TranscriptEvent(EventKind.END, 0.0, 60.0)
