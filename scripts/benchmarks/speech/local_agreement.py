"""LocalAgreement-2 over faster-whisper, as whisper_streaming does it. For the reference environment.

    python local_agreement.py MODEL WAV LANGUAGE STEP_S

Every step the whole buffer is transcribed with word times; words that two looks in a row agree on are
final. A buffer over 15 s is cut where the last final sentence part ended. Greedy, without second tries
and without the words before as a prompt: less work than whisper_streaming's defaults.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys
import time
import wave

import numpy as np
from faster_whisper import WhisperModel

RATE_HZ, THREADS = 16_000, 2
CUT_FROM_S = 15.0
SLACK_S = 0.1  # a word may begin so much before the last final one ended
LONGEST_OVERLAP = 5  # words


def main(model: str, path: str, language: str, step_s: float) -> int:
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    whisper = WhisperModel(
        model, device="cpu", compute_type="int8", cpu_threads=THREADS, local_files_only=True
    )
    loop = Loop(whisper, language)
    cpu_start_s, clock_s = time.process_time(), 0.0
    for heard in [*range(round(step_s * RATE_HZ), len(samples), round(step_s * RATE_HZ)), len(samples)]:
        clock_s = max(clock_s, heard / RATE_HZ)
        started_s = time.perf_counter()
        final = loop.look(samples[:heard], last=heard == len(samples))
        clock_s += time.perf_counter() - started_s
        loop.latencies_s += [clock_s - end_s for _, _, end_s in final]
    cpu_s = time.process_time() - cpu_start_s
    shares = {f"p{share}": float(np.percentile(loop.latencies_s, share)) for share in (50, 90, 95)}
    found = {
        "text": "".join(word for word, _, _ in loop.final),
        "cpu_s_per_audio_s": cpu_s / (len(samples) / RATE_HZ),
        "commit_latency_s": shares,
    }
    print(json.dumps(found))
    return 0


class Loop:
    def __init__(self, whisper: WhisperModel, language: str) -> None:
        self.whisper, self.language = whisper, language
        self.start_s = 0.0  # of the buffer
        self.final: list[tuple[str, float, float]] = []
        self.before: list[tuple[str, float, float]] = []  # the look before, what was not final
        self.latencies_s: list[float] = []

    def look(self, heard: np.ndarray, last: bool) -> list[tuple[str, float, float]]:
        """-> words that became final."""
        segments = self.transcribe(heard[round(self.start_s * RATE_HZ) :])
        now = self.without_overlap([word for words in segments for word in words])
        agreed = now if last else now[: agreement(self.before, now)]
        self.final += agreed
        self.before = now[len(agreed) :]
        if len(heard) / RATE_HZ - self.start_s > CUT_FROM_S:
            self.cut([words[-1][2] for words in segments if words])
        return agreed

    def transcribe(self, buffer: np.ndarray) -> list[list[tuple[str, float, float]]]:
        segments, _ = self.whisper.transcribe(
            buffer,
            language=self.language,
            beam_size=1,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
        )
        return [
            [(word.word, word.start + self.start_s, word.end + self.start_s) for word in segment.words]
            for segment in segments
        ]

    def without_overlap(self, words: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
        """What is new after the final words."""
        if not self.final:
            return words
        new = [word for word in words if word[1] > self.final[-1][2] - SLACK_S]
        for count in range(min(LONGEST_OVERLAP, len(new), len(self.final)), 0, -1):
            if [plain(word[0]) for word in self.final[-count:]] == [plain(word[0]) for word in new[:count]]:
                return new[count:]
        return new

    def cut(self, ends_s: list[float]) -> None:
        """At the last end of a segment that is final, or else at the last final word."""
        if self.final:
            done_s = self.final[-1][2]
            self.start_s = max([end_s for end_s in ends_s[:-1] if end_s <= done_s], default=done_s)


def agreement(before: list[tuple[str, float, float]], now: list[tuple[str, float, float]]) -> int:
    same = [plain(old[0]) == plain(new[0]) for old, new in zip(before, now, strict=False)]
    return [*same, False].index(False)


def plain(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], float(sys.argv[4])))
