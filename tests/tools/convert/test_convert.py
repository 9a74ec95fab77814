"""Hugging Face checkpoints to GGUF, read back.

That the result equals llama.cpp's own converter's is test_convert_reference.py's and
scripts/reference_conversions.sh's to show; that the engine runs it, real/test_convert_real.py's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from edge_tools.convert import TYPES, chunks, convert, encode
from edge_tools.convert.families.gemma3n import _deviations
from support.tiny_checkpoint import (
    HEADS,
    KV_HEADS,
    LAYERS,
    TOKENS,
    WIDTH,
    llama_shapes,
    numbers_of,
    random_tensors,
    set_config,
    source_numbers,
    write_llama,
    write_tensors,
    write_zeros,
)

from edge_runtime.cli.command_line import main
from edge_runtime.errors import ConversionError
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType


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
    monkeypatch.setattr(chunks, "_CHUNK_ELEMENTS", 96)
    monkeypatch.setattr(encode, "_PART_ELEMENTS", 64)
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
from edge_tools.convert import convert
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


def test_force_replaces_no_device_and_no_pipe(
    llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    for name in ("null", "pipe"):
        assert main(["convert", str(llama), "-o", str(tmp_path / name), "--force"]) == 2
        assert f"{name} is a pipe or a device" in capsys.readouterr().err
    assert (tmp_path / "null").is_symlink() and (tmp_path / "pipe").is_fifo()
