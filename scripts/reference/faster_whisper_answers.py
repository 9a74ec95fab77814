"""Transcripts of CTranslate2 and faster-whisper. Runs in the reference environment alone.

Text: CTranslate2, greedy, without timestamps, of 30 s padded with silence, in F32 and in int8. Words with
times: faster-whisper, in F32. Each with the language given. One JSON object: path -> answers. It is written
after each clip, and gone on with where an earlier run was stopped.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

THREADS = 2
WINDOW_SAMPLES, WINDOW_FRAMES = 480_000, 3000
TYPES = ("float32", "int8")


def main(model: Path, clips: Path, output: Path) -> int:
    entries = [json.loads(line) for line in clips.read_text(encoding="utf-8").splitlines()]
    answers = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    for kind in TYPES:
        whisper = WhisperModel(str(model), device="cpu", compute_type=kind, cpu_threads=THREADS)
        for entry in entries:
            answer = answers.setdefault(entry["path"], {})
            if kind not in answer:
                add_answer(answer, whisper, kind, decode_audio(entry["path"]), entry["language"])
                unfinished = output.with_suffix(".partial")
                unfinished.write_text(json.dumps(answers, ensure_ascii=False, indent=1), encoding="utf-8")
                unfinished.replace(output)
    return 0


def add_answer(answer: dict, whisper: WhisperModel, kind: str, sound: np.ndarray, language: str) -> None:
    started_s = time.process_time()
    text = text_of(whisper, sound, language)
    answer[f"{kind}_cpu_s"] = time.process_time() - started_s
    if kind == "float32":
        answer["words"] = words_of(whisper, sound, language)
    answer[kind] = text


def text_of(whisper: WhisperModel, sound: np.ndarray, language: str) -> str:
    padded = np.zeros(WINDOW_SAMPLES, np.float32)
    padded[: len(sound)] = sound[:WINDOW_SAMPLES]
    features = FeatureExtractor()(padded, padding=0)[None, :, :WINDOW_FRAMES]
    tokenizer = Tokenizer(whisper.hf_tokenizer, multilingual=True, task="transcribe", language=language)
    prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features, np.float32))
    found = whisper.model.generate(view, [prompt], beam_size=1, max_length=448)
    return tokenizer.decode(found[0].sequences_ids[0]).strip()


def words_of(whisper: WhisperModel, sound: np.ndarray, language: str) -> list[tuple[str, float, float]]:
    segments, _ = whisper.transcribe(
        sound,
        language=language,
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        word_timestamps=True,
        condition_on_previous_text=False,
    )
    return [(word.word, word.start, word.end) for segment in segments for word in segment.words]


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4])))
