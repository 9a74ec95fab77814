"""Opens a folder of Whisper files, whoever made them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...errors import ModelFileInvalid, ModelNotFound
from ...values import checks
from .attempt import Decoder
from .config import WhisperConfig, make_config
from .faster_whisper import FasterWhisper, FasterWhisperEngine, is_ctranslate2, read_ctranslate2
from .hugging_face import HuggingFaceExport, is_hugging_face_export
from .model_files import read_object, whole_number, whole_numbers
from .network import Network
from .onnx_pair import ENCODER_NAME, OnnxPair
from .recognizer import WhisperRecognizer
from .vocabulary import Vocabulary, read_vocabulary

_MOST_SIZE = 1 << 16
# All models for English alone have as many, the others more. Source: openai/whisper, whisper/model.py,
# is_multilingual.
_ENGLISH_TOKENS = 51_864


def open_recognizer(folder: str | os.PathLike[str], threads: int = 2) -> WhisperRecognizer:
    """From a folder as `edge-runtime models pull whisper-base` makes it, an ONNX export of Hugging
    Face's Optimum, with its config.json and tokenizer.json, or a CTranslate2 model, for faster-whisper.

    Raises EngineUnavailable (no onnxruntime, or no faster-whisper), ModelNotFound, ModelFileInvalid,
    ModelUnsupported (ONNX files, but not these).
    """
    threads = checks.whole_number("threads", threads, 1, 1024)
    path = Path(folder)
    if (path / ENCODER_NAME).is_file():
        return _open_pair(path, threads)
    if is_hugging_face_export(path):
        return _open_export(path, threads)
    if is_ctranslate2(path):
        return _open_ctranslate2(path, threads)
    raise ModelNotFound(
        f"{path}: no Whisper model: neither {ENCODER_NAME}, encoder_model.onnx nor model.bin is there",
        hint="edge-runtime models pull whisper-base",
        path=str(path),
    )


def _open_pair(folder: Path, threads: int) -> WhisperRecognizer:
    path = folder / "config.json"
    content = read_object(path)
    vocabulary = read_vocabulary(folder)
    network = OnnxPair(folder, threads=threads)
    _check_size(folder, vocabulary, network.vocabulary_size)
    config = _ctranslate2_config(content, vocabulary, network.mel_bins, path)
    return _recognizer(network, vocabulary, config)


def _open_ctranslate2(folder: Path, threads: int) -> WhisperRecognizer:
    path = folder / "config.json"
    content = read_object(path)
    vocabulary = read_vocabulary(folder)
    shape = read_ctranslate2(folder)
    _check_size(folder, vocabulary, shape.vocabulary)
    config = _ctranslate2_config(content, vocabulary, shape.mel_bins, path)
    model = FasterWhisper(folder, threads=threads)
    if not model.is_multilingual:
        config = config.for_english_alone()
    engine = FasterWhisperEngine(model, vocabulary, config, shape.vocabulary)
    return WhisperRecognizer(engine, vocabulary, config)


def _ctranslate2_config(
    content: dict[str, Any], vocabulary: Vocabulary, mel_bins: int, path: Path
) -> WhisperConfig:
    return make_config(
        vocabulary,
        mel_bins=mel_bins,
        most_positions=448,
        suppressed=whole_numbers(content, "suppress_ids", path),
        suppressed_at_start=whole_numbers(content, "suppress_ids_begin", path),
        path=path,
    )


def _open_export(folder: Path, threads: int) -> WhisperRecognizer:
    path = folder / "config.json"
    content = read_object(path)
    generation_path = folder / "generation_config.json"
    choices = content | (read_object(generation_path) if generation_path.is_file() else {})
    heads = whole_number(content, "decoder_attention_heads", 1, 256, path)
    width = whole_number(content, "d_model", heads, _MOST_SIZE, path)
    vocabulary = read_vocabulary(folder)
    config = make_config(
        vocabulary,
        mel_bins=whole_number(content, "num_mel_bins", 1, 1024, path),
        most_positions=whole_number(content, "max_target_positions", 16, _MOST_SIZE, path),
        suppressed=whole_numbers(choices, "suppress_tokens", path),
        suppressed_at_start=whole_numbers(choices, "begin_suppress_tokens", path),
        path=path,
    )
    network = HuggingFaceExport(folder, heads=heads, head_size=width // heads, threads=threads)
    _check_size(folder, vocabulary, network.vocabulary_size)
    if choices.get("is_multilingual") is False:
        config = config.for_english_alone()
    return _recognizer(network, vocabulary, config)


def _recognizer(network: Network, vocabulary: Vocabulary, config: WhisperConfig) -> WhisperRecognizer:
    if network.vocabulary_size == _ENGLISH_TOKENS:
        config = config.for_english_alone()
    return WhisperRecognizer(Decoder(network, vocabulary, config), vocabulary, config)


def _check_size(folder: Path, vocabulary: Vocabulary, tokens: int) -> None:
    if len(vocabulary) > tokens:
        raise ModelFileInvalid(
            f"{folder}: the vocabulary has {len(vocabulary)} tokens, the network {tokens}",
            hint="the folder mixes files of two models: fetch it again",
            path=str(folder),
        )
