"""PEFT LoRA adapters to GGUF, read back; and every adapter that cannot be one.

That the result equals what llama.cpp's converter makes is test_convert_reference.py's to show; that
llama.cpp answers with it as with merged weights, real/test_adapter_real.py's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_tools.convert import ADAPTER_TYPES, convert, convert_adapter
from support.tiny_checkpoint import (
    HEADS,
    TOKENS,
    WIDTH,
    adapter_config,
    adapter_shapes,
    numbers_of,
    random_tensors,
    safetensors_bytes,
    set_config,
    stored,
    write_adapter,
)

from edge_runtime.cli.command_line import main
from edge_runtime.cli.screen.exit_status import GOOD, USAGE
from edge_runtime.errors import ConversionError, EdgeRuntimeError, ModelNotFound, OptionInvalid
from edge_runtime.gguf.header import GgufHeader, read_header

Q, DOWN = "layers.1.self_attn.q_proj", "layers.0.mlp.down_proj"
Q_A, Q_B = (f"base_model.model.model.{Q}.lora_{side}.weight" for side in "AB")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "My-Adapter", adapter_shapes(Q, DOWN))


def converted(adapter: Path, llama: Path, kind: str = "f32") -> GgufHeader:
    path = adapter.with_name("adapter.gguf")
    return read_header(convert_adapter(adapter, path, kind, base=llama, force=True).path)


def given(
    name: str, shapes: dict[str, tuple[int, ...]] | None = None
) -> np.ndarray[Any, np.dtype[np.float32]]:
    _, numbers = random_tensors(shapes or adapter_shapes(Q, DOWN), "F32")[name]
    return numbers


def test_matrices_stand_beside_the_weights_they_change(adapter: Path, llama: Path) -> None:
    header = converted(adapter, llama)
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [
        ("blk.1.attn_q.weight.lora_a", (WIDTH, 4)),
        ("blk.1.attn_q.weight.lora_b", (4, WIDTH)),
        ("blk.0.ffn_down.weight.lora_a", (96, 4)),
        ("blk.0.ffn_down.weight.lora_b", (4, WIDTH)),
    ]
    np.testing.assert_array_equal(numbers_of(header, "blk.1.attn_q.weight.lora_a"), given(Q_A))
    down = f"base_model.model.model.{DOWN}.lora_B.weight"
    np.testing.assert_array_equal(numbers_of(header, "blk.0.ffn_down.weight.lora_b"), given(down))


def test_the_rows_of_b_are_put_in_pairs_as_the_queries_are(adapter: Path, llama: Path) -> None:
    found = numbers_of(converted(adapter, llama), "blk.1.attn_q.weight.lora_b")
    halves = given(Q_B).reshape(HEADS, 2, -1, 4)  # (heads, halves, rows, rank)
    np.testing.assert_array_equal(found[0::2].reshape(HEADS, -1, 4), halves[:, 0])
    np.testing.assert_array_equal(found[1::2].reshape(HEADS, -1, 4), halves[:, 1])


def test_metadata_is_what_llama_cpp_asks_for(adapter: Path, llama: Path) -> None:
    (adapter / "README.md").write_text(
        "---\nbase_model: /home/someone/models/Tiny-Llama\nlicense: mit\ntags:\n- lora\n---\n# It\n"
    )
    metadata = converted(adapter, llama).metadata
    assert (metadata["general.architecture"], metadata["general.type"]) == ("llama", "adapter")
    assert (metadata["adapter.type"], metadata["adapter.lora.alpha"]) == ("lora", 6.0)
    assert (metadata["general.name"], metadata["general.license"]) == ("My Adapter", "mit")
    assert metadata["general.base_model.0.name"] == "Tiny Llama"
    assert not [key for key, value in metadata.items() if "/home" in str(value) or "tokenizer" in key]
    assert "general.size_label" not in metadata


@pytest.mark.parametrize("kind", ADAPTER_TYPES)
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_every_type_holds_the_same_numbers(kind: str, dtype: str, tmp_path: Path, llama: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", adapter_shapes(Q), dtype)
    header = converted(adapter, llama, kind)
    assert {tensor.type.name.lower() for tensor in header.tensors} == {kind}
    found = numbers_of(header, "blk.1.attn_q.weight.lora_a")
    np.testing.assert_allclose(found, given(Q_A, adapter_shapes(Q)), rtol=0.01)


def test_a_stabilized_rank_is_in_the_alpha_that_llama_cpp_divides_by_the_rank(
    tmp_path: Path, llama: Path
) -> None:
    """PEFT's scale is alpha / sqrt(rank), llama.cpp's alpha / rank, with one alpha for all pairs."""
    shapes = {**adapter_shapes(Q), **adapter_shapes(DOWN, rank=9)}
    adapter = write_adapter(tmp_path / "adapter", shapes, use_rslora=True)
    header = converted(adapter, llama)
    alpha = header.metadata["adapter.lora.alpha"]
    assert isinstance(alpha, float)
    assert alpha / 4 == pytest.approx(6 / sqrt(4))
    down = numbers_of(header, "blk.0.ffn_down.weight.lora_b")
    expected = given(f"base_model.model.model.{DOWN}.lora_B.weight", shapes)
    np.testing.assert_allclose(down * (alpha / 9), expected * (6 / sqrt(9)), rtol=1e-6)


def test_other_ranks_need_nothing(tmp_path: Path, llama: Path) -> None:
    shapes = {**adapter_shapes(Q), **adapter_shapes(DOWN, rank=9)}
    header = converted(write_adapter(tmp_path / "adapter", shapes), llama)
    assert header.metadata["adapter.lora.alpha"] == 6.0
    expected = given(f"base_model.model.model.{DOWN}.lora_B.weight", shapes)
    np.testing.assert_array_equal(numbers_of(header, "blk.0.ffn_down.weight.lora_b"), expected)


def untied_embedding(llama: Path, folder: Path, **more: tuple[int, ...]) -> tuple[Path, dict[str, Any]]:
    """An adapter for the embedding of a model whose output is another matrix."""
    set_config(llama, tie_word_embeddings=False)
    name = "base_model.model.model.embed_tokens"
    shapes = {f"{name}.lora_embedding_A": (4, TOKENS), f"{name}.lora_embedding_B": (WIDTH, 4)}
    shapes |= {f"{name}.{key}.weight": shape for key, shape in more.items()}
    return write_adapter(folder, shapes), shapes


def test_an_embeddings_a_has_a_row_for_each_token(llama: Path, tmp_path: Path) -> None:
    adapter, shapes = untied_embedding(llama, tmp_path / "adapter", base_layer=(TOKENS, WIDTH))
    header = converted(adapter, llama)
    name = "base_model.model.model.embed_tokens.lora_embedding"
    np.testing.assert_array_equal(
        numbers_of(header, "token_embd.weight.lora_a"), given(f"{name}_A", shapes).T
    )
    np.testing.assert_array_equal(numbers_of(header, "token_embd.weight.lora_b"), given(f"{name}_B", shapes))
    assert len(header.tensors) == 2  # PEFT's copy of the embedding itself is left out


def test_an_embedding_with_more_tokens_is_refused(llama: Path, tmp_path: Path) -> None:
    adapter, _ = untied_embedding(llama, tmp_path / "adapter", base_layer=(TOKENS + 1, WIDTH))
    with pytest.raises(ConversionError, match=r"'.*base_layer\.weight' is no matrix of a LoRA"):
        converted(adapter, llama)


def test_tokens_that_wake_an_adapter_are_carried(tmp_path: Path, llama: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", adapter_shapes(Q), alora_invocation_tokens=[5, 7])
    tokens = converted(adapter, llama).metadata["adapter.alora.invocation_tokens"]
    assert isinstance(tokens, np.ndarray)
    assert (tokens.dtype, tokens.tolist()) == (np.dtype("<u4"), [5, 7])


def test_parts_that_are_not_converted_are_left_out(llama: Path, tmp_path: Path) -> None:
    """An adapter of a Gemma 3 that also sees pictures, whose names have one word more."""
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"num_hidden_layers": 2}}
    (llama / "config.json").write_text(json.dumps(config))
    text = "base_model.model.model.language_model.layers.1.self_attn.v_proj"
    vision = "base_model.model.model.vision_tower.encoder.layers.0.self_attn.v_proj"
    shapes = {f"{text}.lora_A.weight": (4, 2304), f"{text}.lora_B.weight": (1024, 4)}
    seen = {f"{vision}.lora_A.weight": (4, 64), f"{vision}.lora_B.weight": (64, 4)}
    header = converted(write_adapter(tmp_path / "adapter", {**seen, **shapes}), llama)
    assert [tensor.name.rpartition(".")[0] for tensor in header.tensors] == ["blk.1.attn_v.weight"] * 2
    with pytest.raises(ConversionError, match="has nothing for the language part"):
        converted(write_adapter(tmp_path / "adapter", seen), llama)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "IA3"}, "is of the kind IA3; only LORA can be converted"),
        ({"use_dora": True}, "sets use_dora: DoRA"),
        ({"modules_to_save": ["lm_head"]}, "sets modules_to_save"),
        ({"bias": "all"}, "sets bias to all"),
        ({"lora_bias": True}, "sets lora_bias"),
        ({"alpha_pattern": {"q_proj": 3}}, "sets alpha_pattern"),
        ({"layer_replication": [[0, 1]]}, "sets layer_replication"),
        ({"trainable_token_indices": [3]}, "sets trainable_token_indices"),
        ({"init_lora_weights": "pissa_niter_4"}, "sets init_lora_weights to pissa_niter_4"),
        ({"fan_in_fan_out": True}, "sets fan_in_fan_out"),
        ({"kasa_config": {"beta": 1}}, "sets kasa_config"),
    ],
)
def test_what_is_more_than_a_lora_is_refused_by_name(
    config: dict[str, Any], message: str, tmp_path: Path, llama: Path
) -> None:
    adapter = write_adapter(tmp_path / "adapter", adapter_shapes(Q), **config)
    with pytest.raises(ConversionError, match=rf"adapter_config\.json: {message}") as caught:
        converted(adapter, llama)
    assert "merge_and_unload" in caught.value.hint


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = random_tensors(adapter_shapes(Q, DOWN), "F32")
    change(tensors)
    (folder / "adapter_model.safetensors").write_bytes(safetensors_bytes(tensors))


def extra(name: str, *shape: int) -> Callable[[Path], None]:
    tensor = stored(np.ones(shape, np.float32), "F32")
    return lambda folder: changed(folder, lambda tensors: tensors.update({name: tensor}))


def config(**values: Any) -> Callable[[Path], object]:
    return lambda f: (f / "adapter_config.json").write_text(json.dumps(adapter_config(**values)))


START = "base_model.model.model.layers.0"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no A": (
        lambda f: changed(f, lambda t: t.pop(Q_A)),
        r"q_proj\.lora_B\.weight' is there without its lora_A",
    ),
    "no B": (
        lambda f: changed(f, lambda t: t.pop(Q_B)),
        r"q_proj\.lora_A\.weight' is there without its lora_B",
    ),
    "another rank": (extra(Q_B, WIDTH, 5), r"lora_A\.weight' has the shape \[4, 64\]; .* asks for \[5, 64\]"),
    "another width": (extra(Q_A, 4, WIDTH + 1), r"has the shape \[4, 65\]; config\.json asks for \[4, 64\]"),
    "no matrix": (extra(Q_B, 4), r"lora_B\.weight' has the shape \[4\], and is no matrix"),
    "a rank of none": (extra(Q_B, WIDTH, 0), r"has the shape \[64, 0\], and is no matrix"),
    "a layer too many": (
        extra("base_model.model.model.layers.9.mlp.up_proj.lora_A.weight", 4, WIDTH),
        r"belongs to 'model\.layers\.9\.mlp\.up_proj\.weight', which the base model does not have",
    ),
    "a norm": (extra(f"{START}.input_layernorm.weight", WIDTH), "is no matrix of a LoRA"),
    "beside a norm": (
        extra(f"{START}.input_layernorm.lora_A.weight", 4, WIDTH),
        r"belongs to blk\.0\.attn_norm\.weight, beside which llama\.cpp uses no adapter",
    ),
    "DoRA's lengths": (extra(f"{START}.mlp.up_proj.lora_magnitude_vector", 96), "is no matrix of a LoRA"),
    "a tied output": (
        extra("base_model.model.lm_head.lora_A.weight", 4, WIDTH),
        "changes the embedding or the output, which are one matrix",
    ),
    "a tied embedding": (
        extra("base_model.model.model.embed_tokens.lora_embedding_A", 4, TOKENS),
        "changes the embedding or the output, which are one matrix",
    ),
    "one place twice": (
        extra("base_model.model.layers.1.self_attn.q_proj.lora_A.weight", 4, WIDTH),
        "has the place of",
    ),
    "no weights": (
        lambda f: (f / "adapter_model.safetensors").unlink(),
        r"has no adapter_model\.safetensors",
    ),
    "no config": (lambda f: (f / "adapter_config.json").unlink(), r"has no adapter_config\.json"),
    "an alpha of none": (config(lora_alpha=0), "lora_alpha should be another number than 0, found 0"),
    "an alpha of text": (config(lora_alpha="6"), "lora_alpha should be a number, found 6"),
    "tokens of text": (
        config(alora_invocation_tokens=["a"]),
        "alora_invocation_tokens should be a list of token numbers",
    ),
    "cut short": (
        lambda f: os.truncate(f / "adapter_model.safetensors", 3000),
        "but the file has only 3,000: it is cut short",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_is_said_and_nothing_is_left(
    name: str, adapter: Path, llama: Path, tmp_path: Path
) -> None:
    damage, message = DAMAGES[name]
    damage(adapter)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ConversionError, match=message) as caught:
        convert_adapter(adapter, out / "adapter.gguf", base=llama)
    assert caught.value.hint
    assert caught.value.facts["path"]
    assert list(out.iterdir()) == []


NASTY = (None, True, -1, 0, 2**40, 10**400, float("nan"), "x", "\\\\x\\y", [], {}, [[]], [-1], {"a": 1})


def test_any_value_of_any_key_ends_in_a_file_or_an_error_of_ours(adapter: Path, llama: Path) -> None:
    for key in (*adapter_config(), "alora_invocation_tokens", "rank_pattern", "alpha_pattern", "lora_bias"):
        for value in NASTY:
            config(**{key: value})(adapter)
            try:
                converted(adapter, llama)
            except EdgeRuntimeError as error:
                assert error.hint, (key, value)


def test_the_base_model_is_the_folder_that_the_adapter_names(
    adapter: Path, llama: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adapter.gguf"
    with pytest.raises(OptionInvalid, match="'someone/Tiny-Llama', which is no folder") as caught:
        convert_adapter(adapter, out)
    assert "base=" in caught.value.hint
    config(base_model_name_or_path=str(llama))(adapter)
    assert convert_adapter(adapter, out).architecture == "llama"


def test_a_folder_of_another_computer_is_not_looked_for(adapter: Path, llama: Path) -> None:
    """On Windows, looking at such a path opens a connection."""
    config(base_model_name_or_path=f"/{llama}")(adapter)  # to Linux, the same folder
    with pytest.raises(OptionInvalid, match="which is no folder"):
        convert_adapter(adapter, adapter.with_name("adapter.gguf"))


def test_an_existing_file_is_kept_without_force(adapter: Path, llama: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_text("mine")
    with pytest.raises(OptionInvalid, match="exists already"):
        convert_adapter(adapter, path, base=llama)
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="is no folder"):
        convert_adapter(tmp_path / "nowhere", tmp_path / "adapter.gguf")


def test_the_command_converts_an_adapter(
    adapter: Path, llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "adapter.gguf"
    command = ["convert", "--from-adapter", str(adapter), "-o", str(path)]
    assert main([*command, "--base", str(llama), "--json"]) == GOOD
    said = json.loads(capsys.readouterr().out)
    assert (said["architecture"], said["type"], said["tensors"]) == ("llama", "f32", 4)
    assert said["parameters"] == sum(np.prod(shape) for shape in adapter_shapes(Q, DOWN).values())
    assert main([*command, "--force"]) == USAGE
    assert "--base" in capsys.readouterr().err
    assert main([*command, "--force", "--base", str(llama), "--type", "q8_0"]) == USAGE
    assert "an adapter cannot be of the type 'q8_0'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["folder", "--from-adapter", "other"], ["folder", "--base", "other"]]
)
def test_the_command_takes_one_folder(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", *arguments, "-o", str(tmp_path / "out.gguf")]) == USAGE
    assert "--from-adapter" in capsys.readouterr().err


def test_an_adapter_taken_for_a_checkpoint_names_the_option(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"has no config\.json") as caught:
        convert(adapter, tmp_path / "model.gguf")
    assert "from_adapter=" in caught.value.hint
