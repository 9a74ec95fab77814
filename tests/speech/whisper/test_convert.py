"""CTranslate2's Whisper becomes two ONNX graphs that compute the same; damaged files are refused."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from support import tiny_whisper as tiny

from edge_runtime.backends.onnx.session import OnnxSession
from edge_runtime.errors import ConversionError, EngineUnavailable
from edge_runtime.speech.recognition.recognizer import RecognitionOptions
from edge_runtime.speech.whisper import open_recognizer
from edge_runtime.speech.whisper.making import convert_whisper, require_onnx
from edge_runtime.speech.whisper.making.blocks import BLOCK, multiply, quantize_blocks
from edge_runtime.speech.whisper.making.matrices import quantize_weight
from edge_runtime.speech.whisper.making.onnx_graph import Graph
from edge_runtime.speech.whisper.network import Encoded
from edge_runtime.speech.whisper.onnx_pair import OnnxPair

RESULTS = {"config.json", "vocabulary.txt", "encoder.data", "encoder.onnx", "decoder.data", "decoder.onnx"}
FRAMES = 30
PROMPT = [84, 7, 19, 40, 2]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    convert_whisper(tiny.write_folder(folder / "source"), _made(folder))
    return folder / "made"


def _made(folder: Path) -> Path:
    (folder / "made").mkdir()
    return folder / "made"


@pytest.fixture(scope="module")
def mel() -> NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal((tiny.MEL, FRAMES)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(mel: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits and attention of PROMPT, in F32."""
    network = tiny.NumpyWhisper(tiny.variables())
    return network.decode(PROMPT, network.encode(mel))


def error_of(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Root mean square, relative."""
    return float(np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean()))


def test_the_folder_holds_what_the_manifest_promises(converted: Path) -> None:
    assert {path.name for path in converted.iterdir()} == RESULTS
    assert json.loads((converted / "config.json").read_text()) == {
        "suppress_ids": [1, 2],
        "suppress_ids_begin": [3],
    }


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_the_graphs_are_sound_onnx(converted: Path, name: str) -> None:
    onnx.checker.check_model(str(converted / f"{name}.onnx"))


def test_all_tokens_at_once_give_the_logits_of_the_original(
    converted: Path, mel: NDArray[np.float32], reference: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> None:
    """8 bits have cost little: a row or column in the wrong place would give an error near 1."""
    pair = OnnxPair(converted, threads=1)
    encoded = pair.encode(mel[None])
    step = pair.step(encoded, PROMPT, None, alignment=True)
    assert encoded.positions == FRAMES // 2
    assert (
        step.logits.shape == (len(PROMPT), tiny.VOCABULARY) == (pair.step(encoded, PROMPT, None).logits.shape)
    )
    assert error_of(step.logits, reference[0]) < 0.1
    assert step.alignment is not None
    heads = sorted(map(tuple, tiny.ALIGNING))
    expected = np.array([reference[1][layer, head] for layer, head in heads])
    assert np.abs(step.alignment - expected).max() < 0.03


def test_the_decoder_chooses_as_f32_does(
    converted: Path, mel: NDArray[np.float32], reference: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> None:
    """Of what F32's encoder heard. The highest logits come from F16, the others from 4 bits."""
    network = tiny.NumpyWhisper(tiny.variables())
    pair = OnnxPair(converted, threads=1)
    cross = network.cross(network.encode(mel))
    tensors = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in cross.items()}
    found = pair.step(Encoded(tensors, FRAMES // 2), PROMPT, None).logits
    off = np.abs(found - reference[0])
    highest = np.argsort(-reference[0], axis=1)[:, :8]
    chosen, expected = (np.take_along_axis(logits, highest, axis=1) for logits in (found, reference[0]))
    assert error_of(chosen, expected) < 0.01
    assert 3 * np.abs(chosen - expected).max() < off.max() < 3


def test_token_by_token_is_the_same_as_all_at_once(converted: Path, mel: NDArray[np.float32]) -> None:
    """Each row is quantized by itself: what else is in the batch makes no difference but for rounding."""
    pair = OnnxPair(converted, threads=1)
    encoded = pair.encode(mel[None])
    at_once = pair.step(encoded, PROMPT, None)
    cache, rows = None, []
    for token in PROMPT:
        step = pair.step(encoded, [token], cache)
        cache = step.cache
        rows.append(step.logits[0])
    np.testing.assert_allclose(np.array(rows), at_once.logits, atol=2e-3)
    assert cache is not None and cache.length == len(PROMPT)


def test_a_cut_cache_goes_on_as_if_it_had_never_been_longer(
    converted: Path, mel: NDArray[np.float32]
) -> None:
    pair = OnnxPair(converted, threads=1)
    encoded = pair.encode(mel[None])
    longer = pair.step(encoded, [*PROMPT[:3], 11, 12], None).cache
    again = pair.step(encoded, PROMPT[3:], pair.cut(longer, 3)).logits
    np.testing.assert_allclose(again, pair.step(encoded, PROMPT, None).logits[3:], atol=2e-3)


def test_a_shorter_sound_needs_no_padding(converted: Path, mel: NDArray[np.float32]) -> None:
    network = tiny.NumpyWhisper(tiny.variables())
    expected = network.decode(PROMPT, network.encode(mel[:, :8]))[0]
    pair = OnnxPair(converted, threads=1)
    found = pair.step(pair.encode(np.ascontiguousarray(mel[None, :, :8])), PROMPT, None).logits
    assert error_of(found, expected) < 0.1


def test_the_recognizer_opens_it(converted: Path) -> None:
    recognizer = open_recognizer(converted)
    assert recognizer.languages == ("en",)
    recognizer.close()


@pytest.mark.parametrize(
    ("tokens", "languages", "prompt"),
    [
        (51_864, ("en",), ["startoftranscript", "notimestamps"]),
        (51_865, ("en", "fr"), ["startoftranscript", "en", "transcribe", "notimestamps"]),
    ],
)
def test_a_model_for_english_alone_gets_no_tokens_of_languages(
    tokens: int,
    languages: tuple[str, ...],
    prompt: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rng: np.random.Generator,
) -> None:
    """Its vocabulary has them, and it was never taught them."""
    table = rng.standard_normal((tokens, tiny.WIDTH)).astype(np.float16)
    source = tiny.write_folder(tmp_path / "source", tiny.variables() | {"decoder/embeddings/weight": table})
    control = [*tiny.vocabulary()[-7:], "<|fr|>"]
    spellings = ["a"] * (tokens - len(control)) + control
    (source / "vocabulary.txt").write_text("".join(f"{spelling}\n" for spelling in spellings))
    convert_whisper(source, _made(tmp_path))
    asked = tiny.prompts_of(OnnxPair, monkeypatch)
    options = RecognitionOptions(
        language="en", least_context_s=0.5, margin_s=0.0, most_tokens=2, second_try=False
    )
    with open_recognizer(tmp_path / "made", threads=1) as recognizer:
        assert recognizer.languages == languages
        recognizer.recognize(np.zeros(4_000, np.float32), options)
    assert asked == [tuple(spellings.index(f"<|{name}|>") for name in prompt)]


def test_the_token_table_is_stored_in_f16_and_in_4_bits(converted: Path) -> None:
    model = onnx.load(converted / "decoder.onnx", load_external_data=False)
    found = sorted(
        (list(weight.dims)[1:], weight.data_type)
        for weight in model.graph.initializer
        if len(weight.dims) > 1 and weight.dims[0] == tiny.VOCABULARY
    )
    assert found == [([1, BLOCK // 2], onnx.TensorProto.UINT8), ([tiny.WIDTH], onnx.TensorProto.FLOAT16)]


def test_a_weight_is_within_half_a_step(rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((20, 30)).astype(np.float32)
    matrix[3] = 0
    values, scales = quantize_weight(matrix)
    half_step = np.abs(matrix).max(axis=1, keepdims=True) / 127 / 2
    assert (np.abs(values * scales[:, None] - matrix) <= half_step * 1.01).all()


@pytest.mark.parametrize("bits", [4, 8])
def test_a_block_is_within_a_step_of_its_largest_number(bits: int, rng: np.random.Generator) -> None:
    """Half a step, but for a number as large as the largest with the other sign."""
    matrix = rng.standard_normal((5_000, BLOCK + 6)).astype(np.float32)  # a block, and the start of one
    matrix[3], matrix[4, 0], matrix[4, 1:] = 0, -9, 9  # zeros; as large both ways
    blocks = quantize_blocks(matrix, bits)
    bytes_ = blocks.values.reshape(len(matrix), -1)
    steps = bytes_ if bits == 8 else np.stack((bytes_ & 15, bytes_ >> 4), axis=-1).reshape(len(matrix), -1)
    scales = np.repeat(blocks.scales.reshape(len(matrix), 2), BLOCK, axis=1)
    found = ((steps.astype(np.float32) - (1 << (bits - 1))) * scales)[:, : BLOCK + 6]
    off = np.abs(found - matrix) / np.abs(scales[:, : BLOCK + 6])
    assert (off[3] == 0).all()
    assert off.max() <= 1.0 + 1e-5
    assert np.median(off) < 0.3


@pytest.mark.parametrize("bits", [4, 8])
def test_onnxruntime_reads_the_blocks_as_they_are_written(
    bits: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    matrix = rng.standard_normal((7, BLOCK + 6)).astype(np.float32)
    with (tmp_path / "one.data").open("wb") as data:
        graph = Graph("one", data, "one.data")
        rows = graph.input("rows", onnx.TensorProto.FLOAT, [1, "n", BLOCK + 6])
        bias = graph.weight("bias", np.arange(7, dtype=np.float32))
        graph.output("product", multiply(graph, rows, "matrix", matrix, bits, bias), [1, "n", 7])
    graph.save(tmp_path / "one.onnx")
    sent = np.eye(BLOCK + 6, dtype=np.float32)[None]
    found = OnnxSession(tmp_path / "one.onnx")
    [product] = found.run(["product"], {"rows": found.tensor(sent)})
    assert np.abs(product.numpy()[0] - matrix.T - np.arange(7)).max() < 4 / (1 << (bits - 1))


def _damage(change: Callable[[dict[str, NDArray[Any]]], object]) -> dict[str, NDArray[Any]]:
    content = tiny.variables()
    change(content)
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("encoder/layer_1/ffn/linear_0/bias"), "layer_1/ffn/linear_0/bias' is missing"),
        (lambda c: c.pop("decoder/embeddings/weight"), "decoder/embeddings/weight' is missing"),
        (lambda c: c.update({"encoder/conv2/bias": np.zeros(3, np.float16)}), r"expected \[16\]"),
        (lambda c: c.update({"encoder/conv2/bias": np.zeros(16, np.int8)}), "is int8, expected float16"),
        (lambda c: c.update({"encoder/conv2/bias": np.full(16, np.nan, np.float16)}), "NaN or infinity"),
        (lambda c: c.update({"encoder/num_heads": np.array(3, np.int16)}), "3 heads in 16 channels"),
        (lambda c: c.update({"decoder/num_heads": np.array(4, np.int16)}), "other heads in the decoder"),
        (lambda c: c.pop("decoder/layer_0/ffn/linear_0/weight"), "2 and 0 layers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[dict[str, NDArray[Any]]], object], message: str, tmp_path: Path
) -> None:
    source = tiny.write_folder(tmp_path / "source", _damage(change))
    with pytest.raises(ConversionError, match=message):
        convert_whisper(source, _made(tmp_path))


@pytest.mark.parametrize("cut_at", [0, 3, 20, 60, 5_000, -1])
def test_a_file_cut_anywhere_is_refused(cut_at: int, tmp_path: Path) -> None:
    source = tiny.write_folder(tmp_path / "source")
    path = source / "model.bin"
    path.write_bytes(path.read_bytes()[:cut_at])
    with pytest.raises(ConversionError, match=r"cut short|needs"):
        convert_whisper(source, _made(tmp_path))


@pytest.mark.parametrize(
    ("at", "data", "message"),
    [
        (0, struct.pack("<I", 5), "begins with 5, expected 6"),
        (4, struct.pack("<H", 60_000), "cut short"),
        (6, b"\xff", "expected ASCII"),
        (6, b"Bert", "'BertperSpec', expected 'WhisperSpec'"),
        (22, struct.pack("<I", 1 << 31), "names 2,147,483,648 variables"),
    ],
)
def test_a_damaged_start_is_refused(at: int, data: bytes, message: str, tmp_path: Path) -> None:
    source = tiny.write_folder(tmp_path / "source")
    content = bytearray((source / "model.bin").read_bytes())
    content[at : at + len(data)] = data
    (source / "model.bin").write_bytes(content)
    with pytest.raises(ConversionError, match=message):
        convert_whisper(source, _made(tmp_path))


def test_any_single_wrong_byte_of_the_head_is_our_error_or_harmless(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    source = tiny.write_folder(tmp_path / "source")
    good = (source / "model.bin").read_bytes()
    for at in rng.integers(0, 400, 25):
        damaged = bytearray(good)
        damaged[at] ^= int(rng.integers(1, 256))
        (source / "model.bin").write_bytes(damaged)
        target = tmp_path / f"made {at}"
        target.mkdir(exist_ok=True)
        try:
            convert_whisper(source, target)
        except ConversionError as error:
            assert str(error) and error.hint


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", "is not JSON"),
        ("config.json", b"[]", "holds a JSON list"),
        ("config.json", b'{"alignment_heads": [[9, 0]]}', "alignment_heads"),
        ("config.json", b'{"alignment_heads": 7}', "alignment_heads"),
        ("vocabulary.txt", b"a\nb\n", "has 2 lines, expected 90"),
    ],
)
def test_other_files_of_another_model_are_refused(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    source = tiny.write_folder(tmp_path / "source")
    (source / name).write_bytes(content)
    with pytest.raises(ConversionError, match=message):
        convert_whisper(source, _made(tmp_path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    source = tiny.write_folder(tmp_path / "source")
    (source / "model.bin").unlink()
    with pytest.raises(ConversionError, match=r"model\.bin cannot be read"):
        convert_whisper(source, _made(tmp_path))


def test_without_onnx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineUnavailable) as caught:
        require_onnx()
    assert 'pip install "edge-runtime[speech-convert]"' in caught.value.hint
