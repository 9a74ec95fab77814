"""Every way a checkpoint can be wrong: an error that names it, and no file."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_tools.convert import FAMILIES, convert
from support.tiny_checkpoint import (
    TOKENS,
    WIDTH,
    llama_shapes,
    random_tensors,
    safetensors_bytes,
    set_config,
    stored,
    write_tensors,
)

from edge_runtime.errors import ConversionError, EdgeRuntimeError, ModelNotFound, ModelUnsupported


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


def test_an_unknown_architecture_says_which_are_known(llama: Path, tmp_path: Path) -> None:
    set_config(llama, architectures=["MambaForCausalLM"])
    with pytest.raises(ModelUnsupported, match="MambaForCausalLM, which cannot be converted") as caught:
        convert(llama, tmp_path / "model.gguf")
    assert all(name in caught.value.hint for name in FAMILIES)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="is no folder"):
        convert(tmp_path / "nowhere", tmp_path / "model.gguf")
