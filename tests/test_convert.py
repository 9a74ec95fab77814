"""Hugging Face checkpoints to GGUF: read back, and every way a checkpoint can be wrong.

That the result equals llama.cpp's own converter's is test_convert_reference.py's and
scripts/reference_conversions.sh's to show; that the engine runs it, real/test_convert_real.py's.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import numpy as np
import pytest
from tiny_checkpoint import (
    HEADS,
    KV_HEADS,
    LAYERS,
    QWEN2_WORDS,
    SMOLLM_WORDS,
    TOKENS,
    WIDTH,
    llama_config,
    llama_shapes,
    random_tensors,
    safetensors_bytes,
    sentencepiece_bytes,
    stored,
    write_llama,
    write_tensors,
    write_zeros,
)

from edge_runtime.cli import main
from edge_runtime.errors import (
    ConversionError,
    EdgeRuntimeError,
    ModelNotFound,
    ModelUnsupported,
    OptionInvalid,
    StorageFull,
)
from edge_runtime.gguf_check import check_header
from edge_runtime.gguf_header import GgufHeader, read_header
from edge_runtime.gguf_types import GgmlType, GgufStringArray
from edge_runtime.progress import Advance, QuietProgress
from edge_runtime.tools.convert import FAMILIES, TYPES, convert, weights
from edge_runtime.tools.convert.encode import quantized
from edge_runtime.tools.convert.families.gemma3n import _deviations
from edge_runtime.tools.convert.general import size_label, title
from edge_runtime.tools.convert.model_card import read_card
from edge_runtime.tools.convert.pre_tokenizer import pre_tokenizer_name
from edge_runtime.tools.convert.tokenizer import sentencepiece_metadata


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write_llama(tmp_path / "Tiny-Llama")


def numbers_of(header: GgufHeader, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(rows, row length) dequantized by gguf-py."""
    tensor = next(tensor for tensor in header.tensors if tensor.name == name)
    raw = header.path.read_bytes()[tensor.offset_bytes : tensor.offset_bytes + tensor.size_bytes]
    kind = gguf.GGMLQuantizationType(int(tensor.type))
    rows = np.frombuffer(raw, np.uint8).reshape(*reversed(tensor.shape[1:]), -1)
    return gguf.quants.dequantize(rows, kind)


def source_numbers(name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    _, raw = random_tensors(llama_shapes())[name]
    return (raw.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_is_written_and_passes_the_checks(kind: str, llama: Path, tmp_path: Path) -> None:
    converted = convert(llama, tmp_path / "model.gguf", kind)
    header = read_header(converted.path)
    check_header(header)
    assert (header.architecture, header.vocabulary_size, header.block_count) == ("llama", TOKENS, LAYERS)
    assert len(header.tensors) == converted.tensors == 2 + 9 * LAYERS
    assert converted.size_bytes == converted.path.stat().st_size
    types = {tensor.name: tensor.type.name.lower() for tensor in header.tensors}
    assert types["blk.0.attn_q.weight"] == types["token_embd.weight"] == kind
    assert types["blk.0.attn_norm.weight"] == types["output_norm.weight"] == "f32"
    found = numbers_of(header, "token_embd.weight")
    expected = source_numbers("model.embed_tokens.weight")
    tolerance = {"q8_0": 0.003, "q4_0": 0.06, "f16": 1e-4}.get(kind, 0)  # half a step of the largest numbers
    assert np.abs(found - expected).max() <= tolerance


def test_queries_and_keys_are_put_in_pairs(llama: Path, tmp_path: Path) -> None:
    header = read_header(convert(llama, tmp_path / "model.gguf", "f32").path)
    for letter, heads in (("q", HEADS), ("k", KV_HEADS)):
        expected = source_numbers(f"model.layers.1.self_attn.{letter}_proj.weight")
        found = numbers_of(header, f"blk.1.attn_{letter}.weight")
        half = len(expected) // heads // 2
        for head in range(heads):
            for place in range(half):
                row = head * 2 * half + place
                pair = head * 2 * half + 2 * place
                np.testing.assert_array_equal(found[pair], expected[row])
                np.testing.assert_array_equal(found[pair + 1], expected[row + half])
    for name in ("v_proj", "o_proj"):
        gguf_name = {"v_proj": "attn_v", "o_proj": "attn_output"}[name]
        expected = source_numbers(f"model.layers.1.self_attn.{name}.weight")
        np.testing.assert_array_equal(numbers_of(header, f"blk.1.{gguf_name}.weight"), expected)


def test_biases_are_put_in_pairs_too(llama: Path, tmp_path: Path) -> None:
    set_config(llama, attention_bias=True)
    name = "model.layers.0.self_attn.k_proj.bias"
    shapes = {**llama_shapes(), name: (WIDTH // HEADS * KV_HEADS,)}
    write_tensors(llama, random_tensors(shapes))
    header = read_header(convert(llama, tmp_path / "model.gguf", "q8_0").path)
    _, raw = random_tensors(shapes)[name]
    expected = (raw.astype(np.uint32) << 16).view(np.float32).reshape(KV_HEADS, 2, -1)
    found = numbers_of(header, "blk.0.attn_k.bias").reshape(KV_HEADS, -1, 2)
    np.testing.assert_array_equal(found[..., 0], expected[:, 0])
    np.testing.assert_array_equal(found[..., 1], expected[:, 1])


@pytest.mark.parametrize("dtype", ["F32", "F16", "F64"])
def test_every_stored_type_gives_the_same_numbers(dtype: str, tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "model", dtype=dtype)
    header = read_header(convert(folder, tmp_path / "model.gguf", "f32").path)
    _, expected = random_tensors(llama_shapes(), dtype)["model.embed_tokens.weight"]
    np.testing.assert_array_equal(numbers_of(header, "token_embd.weight"), expected.astype(np.float32))


def test_shards_make_the_same_tensors(llama: Path, tmp_path: Path) -> None:
    whole = read_header(convert(llama, tmp_path / "one.gguf").path)
    folder = write_llama(tmp_path / "many", shards=3)
    parts = read_header(convert(folder, tmp_path / "many.gguf").path)
    assert {t.name for t in whole.tensors} == {t.name for t in parts.tensors}
    for tensor in whole.tensors:
        np.testing.assert_array_equal(numbers_of(whole, tensor.name), numbers_of(parts, tensor.name))


@pytest.mark.parametrize("kind", ["bf16", "q4_0"])
def test_the_size_of_a_chunk_changes_nothing(
    kind: str, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = convert(llama, tmp_path / "one.gguf", kind).path.read_bytes()
    monkeypatch.setattr(weights, "_CHUNK_ELEMENTS", 3 * WIDTH + 1)
    assert convert(llama, tmp_path / "many.gguf", kind).path.read_bytes() == whole


def test_rows_that_a_block_cannot_hold_become_f16(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "model", intermediate_size=80)
    shapes = llama_shapes()
    for name in shapes:
        if ".mlp." in name:
            shapes[name] = (WIDTH, 80) if "down" in name else (80, WIDTH)
    write_tensors(folder, random_tensors(shapes))
    types = {t.name: t.type for t in read_header(convert(folder, tmp_path / "m.gguf", "q8_0").path).tensors}
    assert types["blk.0.ffn_down.weight"] is GgmlType.F16
    assert types["blk.0.ffn_up.weight"] is GgmlType.Q8_0


@pytest.mark.parametrize("kind", [GgmlType.BF16, GgmlType.F16, GgmlType.Q8_0, GgmlType.Q4_0])
def test_quantizing_is_what_gguf_py_does(kind: GgmlType) -> None:
    rng = np.random.default_rng(11)
    rows = np.concatenate(
        [
            rng.standard_normal((400, 64), np.float32) * np.float32(scale)
            for scale in (0, 1e-42, 1e-8, 0.02, 1, 300, 1e30)
        ]
    )
    rows[5] = np.arange(64) - 31.5  # ties
    rows[6, ::2] = 127
    rows[6, 1::2] = 0.5
    rows[7] = np.tile([-8, 8], 32)
    with np.errstate(all="ignore"):
        expected = gguf.quants.quantize(rows, gguf.GGMLQuantizationType(int(kind)))
    assert bytes(quantized(rows, kind)) == np.ascontiguousarray(expected).tobytes()


def test_a_nan_stays_one_in_bf16() -> None:
    numbers = np.array([0x7F800001, 0xFFFFFFFF, 0x7F800000], np.uint32).view(np.float32)
    found = np.frombuffer(quantized(numbers, GgmlType.BF16), "<u2")
    assert found.tolist() == [0x7FC0, 0xFFFF, 0x7F80]


def test_the_tokenizer_and_all_around_it_are_carried(llama: Path, tmp_path: Path) -> None:
    (llama / "generation_config.json").write_text('{"temperature": 0.6, "top_k": 40, "do_sample": true}')
    (llama / "README.md").write_text(
        "---\nlicense: mit\ntags: [tiny, 'a b']\nlanguage:\n- en\n- no  # not false\n"
        "base_model: people/base-model-7b\n---\n# Hello\n"
    )
    metadata = read_header(convert(llama, tmp_path / "model.gguf").path).metadata
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufStringArray)
    assert (tokens[1], tokens[TOKENS - 2], tokens[TOKENS - 1]) == (
        "<|im_start|>",
        "<think>",
        f"[PAD{TOKENS - 1}]",
    )
    kinds = metadata["tokenizer.ggml.token_type"]
    assert isinstance(kinds, np.ndarray)
    assert [kinds[i] for i in (0, 3, TOKENS - 2, TOKENS - 1)] == [3, 1, 4, 5]
    assert metadata["tokenizer.ggml.pre"] == "smollm"
    assert list(metadata["tokenizer.ggml.merges"])[2] == "Ġ the"  # type: ignore[arg-type]
    assert (metadata["tokenizer.ggml.bos_token_id"], metadata["tokenizer.ggml.eos_token_id"]) == (1, 2)
    assert str(metadata["tokenizer.chat_template"]).startswith("{% for m")
    assert (metadata["general.name"], metadata["general.license"]) == ("Tiny Llama", "mit")
    assert metadata["general.sampling.temp"] == pytest.approx(0.6)
    assert metadata["general.sampling.top_k"] == 40
    assert list(metadata["general.tags"]) == ["tiny", "a b"]  # type: ignore[arg-type]
    assert list(metadata["general.languages"]) == ["en", "no"]  # type: ignore[arg-type]
    assert metadata["general.base_model.0.name"] == "Base Model 7b"
    assert metadata["general.base_model.0.repo_url"] == "https://huggingface.co/people/base-model-7b"


def test_sentencepiece_is_read_without_its_library(tmp_path: Path) -> None:
    pieces = [("<pad>", 0.0, 3), ("<s>", 0.0, 3), ("<unk>", 0.0, 2), ("<0x0A>", 0.0, 6), ("▁the", -1.5, 1)]
    pieces += [("<user>", 0.0, 4), ("<gone>", 0.0, 5)]
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_bytes(pieces))
    (tmp_path / "added_tokens.json").write_text('{"<extra>": 7, "<far>": 99}')
    config = {"added_tokens_decoder": {"8": {"content": "▁▁", "special": False}}, "add_bos_token": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text('{"bos_token_id": 1, "eos_token_id": [1, 2], "pad_token_id": 77}')
    metadata: dict[str, Any] = sentencepiece_metadata(tmp_path, 10)
    expected = [text.encode() for text, _, _ in pieces] + [b"<extra>", b"  ", b"[PAD9]"]
    assert metadata["tokenizer.ggml.tokens"] == expected
    assert metadata["tokenizer.ggml.token_type"].tolist() == [3, 3, 2, 6, 1, 1, 5, 4, 4, 5]
    assert metadata["tokenizer.ggml.scores"].tolist()[4:] == [-1.5, 0, 0, -1000, -1000, -10000]
    assert metadata["tokenizer.ggml.bos_token_id"] == 1
    assert metadata["tokenizer.ggml.add_bos_token"] is True
    assert not {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.padding_token_id"} & set(metadata)


@pytest.mark.parametrize("raw", [b"\x0a\xff", b"\x0a\x05ab", b"\x0f", b"\xff" * 12])
def test_a_damaged_sentencepiece_file_is_named(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(raw)
    with pytest.raises(ConversionError, match=r"tokenizer\.model: is no SentencePiece model"):
        sentencepiece_metadata(tmp_path, 10)


@pytest.mark.parametrize(
    ("before", "name"),
    [
        (SMOLLM_WORDS, "smollm"),
        ({"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "gpt-2"),
        ({"type": "ByteLevel", "add_prefix_space": False}, "gpt-2"),
        (
            {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": QWEN2_WORDS}, "behavior": "Isolated"},
                    {"type": "ByteLevel", "use_regex": False},
                ],
            },
            "qwen2",
        ),
    ],
)
def test_ways_to_split_words_have_llama_cpps_names(before: Any, name: str) -> None:
    assert pre_tokenizer_name(Path("tokenizer.json"), {"pre_tokenizer": before}) == name


@pytest.mark.parametrize("before", [None, {"type": "Whitespace"}, {"type": "Sequence", "pretokenizers": 3}])
def test_another_way_to_split_words_is_refused(before: Any) -> None:
    with pytest.raises(ConversionError, match="splits words in a way that is not known") as caught:
        pre_tokenizer_name(Path("tokenizer.json"), {"pre_tokenizer": before})
    assert "qwen2" in caught.value.hint


def edit_header(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON header of model.safetensors, and leave the data as it is."""
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


EMBEDDING, NORM = "model.embed_tokens.weight", "model.norm.weight"


def cut_data(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def cut_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:50])


def nothing_left(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"abc")


def shift_offsets(folder: Path) -> None:
    edit_header(folder, lambda header: header[NORM].update(data_offsets=[2**40, 2**40 + WIDTH * 2]))


def wrong_size(folder: Path) -> None:
    edit_header(folder, lambda header: header[NORM].update(data_offsets=[0, 8]))


def overlap(folder: Path) -> None:
    edit_header(folder, lambda header: header[NORM].update(data_offsets=[16, 16 + WIDTH * 2]))


def negative(folder: Path) -> None:
    edit_header(folder, lambda header: header[NORM].update(shape=[-1]))


def unknown_dtype(folder: Path) -> None:
    edit_header(folder, lambda header: header[NORM].update(dtype="Q4"))


def integers(folder: Path) -> None:
    tensors = random_tensors(llama_shapes())
    tensors[NORM] = stored(np.ones(WIDTH, np.float32), "I64")
    write_tensors(folder, tensors)


def missing(folder: Path) -> None:
    tensors = random_tensors(llama_shapes())
    del tensors["model.layers.1.mlp.up_proj.weight"]
    write_tensors(folder, tensors)


def transposed(folder: Path) -> None:
    tensors = random_tensors({**llama_shapes(), EMBEDDING: (WIDTH, TOKENS)})
    write_tensors(folder, tensors)


def unknown_tensor(folder: Path) -> None:
    write_tensors(folder, random_tensors({**llama_shapes(), "model.layers.0.mlp.experts.0.weight": (4, 4)}))


def index(folder: Path, name: str, tensor: str = NORM) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {tensor: name}}))


def twice_in_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "architectures": []}')


def set_config(folder: Path, **changes: Any) -> None:
    (folder / "config.json").write_text(json.dumps(llama_config(**changes)))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "data cut short": (cut_data, r"model\.safetensors: tensor 'model\.norm\.weight' ends at byte"),
    "header cut short": (cut_header, r"model\.safetensors: should begin with a header of"),
    "three bytes": (nothing_left, r"has 3 bytes, and is no safetensors file"),
    "offsets past the end": (shift_offsets, r"'model\.norm\.weight' ends at byte"),
    "offsets of another size": (
        wrong_size,
        r"'model\.norm\.weight' takes 8 bytes; BF16 of shape \[64\] needs 128",
    ),
    "overlap": (overlap, r"tensor '.*' lies over '.*'"),
    "negative shape": (negative, r"'model\.norm\.weight' has the shape \[-1\]"),
    "unknown type": (unknown_dtype, r"'model\.norm\.weight' has the unknown type 'Q4'"),
    "whole numbers": (integers, r"'model\.norm\.weight' is I64; BF16, F16, F32, F64 can be converted"),
    "missing tensor": (missing, r"tensor 'model\.layers\.1\.mlp\.up_proj\.weight' is missing"),
    "wrong shape": (transposed, r"has the shape \[64, 320\]; config\.json asks for \[320, 64\]"),
    "unknown tensor": (
        unknown_tensor,
        r"'model\.layers\.0\.mlp\.experts\.0\.weight' is not known in the family",
    ),
    "a path upwards": (lambda f: index(f, "../model.safetensors"), "names the file '../model.safetensors'"),
    "an absolute path": (lambda f: index(f, "/etc/x.safetensors"), "names the file '/etc/x.safetensors'"),
    "a zero byte": (lambda f: index(f, "a\0.safetensors"), "names the file"),
    "another kind of file": (lambda f: index(f, "config.json"), "names the file 'config.json'"),
    "a missing shard": (lambda f: index(f, "x.safetensors"), r"x\.safetensors: is missing, although"),
    "a tensor the index made up": (
        lambda f: index(f, "model.safetensors", "model.x"),
        "tensor 'model.x' is missing, although",
    ),
    "an empty index": (lambda f: (f / "model.safetensors.index.json").write_text("{}"), "has no weight_map"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"has no model\.safetensors"),
    "no config": (lambda f: (f / "config.json").unlink(), r"has no config\.json"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{,}"), r"config\.json: is no JSON"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), r"config\.json: is no JSON object"),
    "a key twice": (twice_in_json, r"config\.json: is no JSON: 'architectures' twice"),
    "no layers": (
        lambda f: set_config(f, num_hidden_layers=0),
        "num_hidden_layers should be a number above 0",
    ),
    "a million layers": (
        lambda f: set_config(f, num_hidden_layers=10**6),
        "num_hidden_layers should be at most",
    ),
    "heads of text": (
        lambda f: set_config(f, num_attention_heads="4"),
        "num_attention_heads should be a whole",
    ),
    "a strange rotation": (
        lambda f: set_config(f, rope_scaling={"type": "spiral"}),
        r"rope_type should be default",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer\.json: is missing"),
    "too small a vocabulary": (
        lambda f: (
            set_config(f, vocab_size=300),
            write_tensors(f, random_tensors({**llama_shapes(), EMBEDDING: (300, WIDTH)})),
        ),
        "has a token 318, but the model has only 300",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_is_said_and_nothing_is_left(name: str, llama: Path, tmp_path: Path) -> None:
    damage, message = DAMAGES[name]
    damage(llama)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ConversionError, match=message) as caught:
        convert(llama, out / "model.gguf")
    assert caught.value.hint
    assert caught.value.facts["path"]
    assert list(out.iterdir()) == []


def test_a_shard_that_cannot_be_read_is_named(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied")
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConversionError, match=r"model\.safetensors: cannot be read: Permission denied"):
        convert(llama, tmp_path / "model.gguf")


def test_an_unknown_architecture_says_which_are_known(llama: Path, tmp_path: Path) -> None:
    set_config(llama, architectures=["MambaForCausalLM"])
    with pytest.raises(ModelUnsupported, match="MambaForCausalLM, which cannot be converted") as caught:
        convert(llama, tmp_path / "model.gguf")
    assert all(name in caught.value.hint for name in FAMILIES)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="is no folder"):
        convert(tmp_path / "nowhere", tmp_path / "model.gguf")


def test_an_existing_file_is_kept_without_force(llama: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("mine")
    with pytest.raises(OptionInvalid, match="exists already"):
        convert(llama, path)
    assert path.read_text() == "mine"
    convert(llama, path, force=True)
    assert path.read_bytes()[:4] == b"GGUF"


def test_an_unknown_type_is_refused(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid, match="no type 'q3'"):
        convert(llama, tmp_path / "model.gguf", "q3")


def test_a_full_disk_leaves_nothing(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(StorageFull, match="no room in"):
        convert(llama, out / "model.gguf")
    assert list(out.iterdir()) == []


class _Stops(QuietProgress):
    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        def advance(count: int) -> None:
            raise KeyboardInterrupt

        yield advance


def test_an_interruption_leaves_nothing(llama: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        convert(llama, out / "model.gguf", progress=_Stops())
    assert list(out.iterdir()) == []


def test_tied_and_untied_embeddings(llama: Path, tmp_path: Path) -> None:
    set_config(llama, tie_word_embeddings=False)
    with pytest.raises(ConversionError, match=r"tensor 'lm_head\.weight' is missing"):
        convert(llama, tmp_path / "model.gguf")
    write_tensors(llama, random_tensors({**llama_shapes(), "lm_head.weight": (TOKENS, WIDTH)}))
    names = {tensor.name for tensor in read_header(convert(llama, tmp_path / "model.gguf").path).tensors}
    assert "output.weight" in names


def test_the_command_prints_what_it_wrote(
    llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.gguf"
    assert main(["convert", str(llama), "-o", str(path), "--type", "q8_0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["architecture"], said["type"], said["size_bytes"]) == ("llama", "q8_0", path.stat().st_size)
    assert main(["convert", str(llama), "-o", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["convert", str(llama), "-o", str(path), "--force"]) == 0
    assert "llama, 0.1 million parameters" in capsys.readouterr().out
    (llama / "config.json").unlink()
    assert main(["convert", str(llama), "-o", str(path), "--force"]) == 3


def test_cards_with_other_yaml_are_read_as_far_as_possible(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(
        "---\n# a comment\nlicense: other\nlicense_name: 'a: b'\nmodel-index:\n- name: x\n  results:\n"
        '  - task: 3\nextra: >-\n  folded\ntags:\n  - one\n  - "two"\nempty:\n---\n'
    )
    card = read_card(path)
    assert (card["license"], card["license_name"], card["tags"]) == ("other", "a: b", ["one", "two"])
    assert "extra" not in card
    assert "empty" not in card
    path.write_text("# No card")
    assert read_card(path) == {}


def test_sizes_and_titles() -> None:
    assert [size_label(n) for n in (270_000, 1_235_814_400, 135_000_000, 4_600_000_000_000)] == [
        *("270K", "1.2B", "135M", "4.6T")
    ]
    assert title("gemma-3n-E2B-it") == "Gemma 3n E2B It"


def test_a_deviation_is_torchs_to_the_last_bit() -> None:
    assert _deviations(0.95) == 1.6448535919189453  # torch.distributions.Normal(0, 1).icdf(0.95), in F32
    assert _deviations(0) == -np.inf


_MEASURE = """
import sys, threading, time
from pathlib import Path
peak = 0
def watch():
    global peak
    while True:
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = max(peak, next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")))
        time.sleep(0.005)
from edge_runtime.tools.convert import convert
threading.Thread(target=watch, daemon=True).start()
convert(sys.argv[1], sys.argv[2], sys.argv[3])
print(peak << 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_a_large_tensor_takes_little_memory(llama: Path, tmp_path: Path) -> None:
    """An embedding of 768 MiB, zeros in a file with holes: it is never in memory as a whole."""
    tokens, width = 192 << 10, 1024
    set_config(llama, vocab_size=tokens, hidden_size=width, head_dim=WIDTH // HEADS)
    size_bytes = write_zeros(llama / "model.safetensors", llama_shapes(tokens, width))
    command = [sys.executable, "-c", _MEASURE, str(llama), str(tmp_path / "model.gguf"), "q8_0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert size_bytes > 700e6
    assert int(done.stdout) < 300e6


NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**31, 2**40, 10**400, 1e300, float("nan"), 0.5, "", "x", "\ud800"),
    *(
        [],
        {},
        [[]],
        [None],
        [-1],
        {"a": 1},
        {"type": []},
        {"full_attention": 3},
        {"rope_type": "llama3", "factor": 0},
    ),
)


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
)
def test_any_value_of_any_key_ends_in_a_file_or_an_error_of_ours(
    file: str, llama: Path, tmp_path: Path
) -> None:
    path = llama / file
    good = json.loads(path.read_text()) if path.exists() else {"temperature": 1, "top_k": 1}
    model = [("model", key) for key in good.get("model", ())]
    extra = [
        "head_dim",
        "rope_scaling",
        "rope_parameters",
        "text_config",
        "added_tokens_decoder",
        "post_processor",
    ]
    extra += ["extra_special_tokens", "additional_special_tokens", "_name_or_path"]
    for keys in [*((key,) for key in (*good, *extra)), *model]:
        for value in NASTY:
            content = json.loads(json.dumps(good))
            inner = content[keys[0]] if len(keys) == 2 else content
            inner[keys[-1]] = value
            path.write_text(json.dumps(content))
            try:
                convert(llama, tmp_path / "model.gguf", force=True)
            except EdgeRuntimeError as error:
                assert error.hint, (keys, value)
            except Exception as error:
                raise AssertionError(f"{keys} = {value!r}: {error!r}") from error


def test_every_family_is_an_error_of_ours_when_the_config_is_empty(tmp_path: Path) -> None:
    """Whatever a config leaves out ends in an error that names it, never in Python's own words."""
    for name in FAMILIES:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"architectures": [name]}))
        (folder / "model.safetensors").write_bytes(safetensors_bytes({}))
        with pytest.raises(EdgeRuntimeError):
            convert(folder, tmp_path / "model.gguf")
