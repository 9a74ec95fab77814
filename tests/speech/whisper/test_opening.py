"""Folders of Whisper files: Optimum's two layouts, and what is no Whisper.

whisper_exports.zip was made by scripts/tiny_whisper_exports.py: real exports of a tiny random model, and
what transformers makes of the same features.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.places import SUPPORT
from support.tiny_whisper import prompts_of

from edge_runtime.backends.onnx.session import OnnxSession
from edge_runtime.errors import ModelFileInvalid, ModelNotFound, ModelUnsupported, OptionInvalid
from edge_runtime.speech.recognition.recognizer import RecognitionOptions
from edge_runtime.speech.whisper import open_recognizer
from edge_runtime.speech.whisper.hugging_face import HuggingFaceExport
from edge_runtime.speech.whisper.network import Network

PROMPT, PROMPT_WITHOUT_LANGUAGE = (29, 30, 33, 35), (29, 35)
SPELLINGS = [f"Ġ{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"] + ["!", "?"]
CONTROL = [
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|fr|>", "<|translate|>", "<|transcribe|>"),
    *("<|nospeech|>", "<|notimestamps|>", "<|0.00|>"),
]
MERGED = ("decoder_model_merged.onnx",)
SPLIT = ("decoder_model.onnx", "decoder_with_past_model.onnx")
SOUND = np.sin(np.arange(16_000 * 4, dtype=np.float32) / 9)


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    folder = tmp_path / "everything"
    with zipfile.ZipFile(SUPPORT / "whisper_exports.zip") as archive:
        archive.extractall(folder)
    return folder


def export(everything: Path, decoders: tuple[str, ...] = MERGED) -> Path:
    """A folder with one layout of the decoder."""
    folder = everything.parent / "export"
    folder.mkdir()
    for name in ("config.json", "generation_config.json", "encoder_model.onnx", *decoders):
        (folder / name).write_bytes((everything / name).read_bytes())
    content = {
        "model": {"vocab": {text: token for token, text in enumerate(SPELLINGS)}},
        "added_tokens": [{"id": len(SPELLINGS) + n, "content": text} for n, text in enumerate(CONTROL)],
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("decoders", [MERGED, SPLIT], ids=["merged", "split"])
def test_an_export_calculates_what_transformers_does(everything: Path, decoders: tuple[str, ...]) -> None:
    with np.load(everything / "expected.npz") as expected:
        features, tokens, logits = expected["features"], expected["tokens"].tolist(), expected["logits"]
    network: Network = HuggingFaceExport(export(everything, decoders), heads=2, head_size=4, threads=1)
    assert network.vocabulary_size == len(SPELLINGS) + len(CONTROL)
    encoded = network.encode(features)
    assert encoded.positions == 1500
    whole = network.step(encoded, [*PROMPT, *tokens[:-1]], None)
    np.testing.assert_allclose(whole.logits[len(PROMPT) - 1 :], logits, atol=1e-3)

    cut = network.cut(whole.cache, len(PROMPT) + 2)  # as after a draft with two right tokens
    rest = network.step(encoded, tokens[2:-1], cut)
    np.testing.assert_allclose(rest.logits, logits[3:], atol=1e-3)
    assert rest.cache.length == len(PROMPT) + len(tokens) - 1
    network.close()


def test_both_layouts_give_the_same_text(everything: Path) -> None:
    options = RecognitionOptions(language="en", most_tokens=12, second_try=False, words=True)
    with open_recognizer(export(everything), threads=1) as recognizer:
        merged = recognizer.recognize(SOUND, options)
        assert recognizer.languages == ("en", "fr")
        drafted = recognizer.recognize(
            SOUND, options, prefix=merged.tokens[:2], draft=[*merged.tokens[2:4], 0]
        )
        assert drafted.tokens == merged.tokens
    (everything.parent / "export").rename(everything.parent / "merged")
    with open_recognizer(export(everything, SPLIT), threads=1) as recognizer:
        split = recognizer.recognize(SOUND, options)
    assert split.tokens == merged.tokens
    assert len(merged.tokens) > 0
    assert merged.context_s == 30.0  # it takes no less
    assert merged.times_are_guessed
    assert merged.words[-1].end_s == 4.0


@pytest.mark.parametrize(
    ("is_multilingual", "languages", "prompt"),
    [(True, ("en", "fr"), PROMPT), (False, ("en",), PROMPT_WITHOUT_LANGUAGE)],
)
def test_an_export_for_english_alone_gets_no_tokens_of_languages(
    everything: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_multilingual: bool,
    languages: tuple[str, ...],
    prompt: tuple[int, ...],
) -> None:
    """Its vocabulary has them, and it was never taught them."""
    folder = export(everything)
    change(folder / "generation_config.json", is_multilingual=is_multilingual)
    asked = prompts_of(HuggingFaceExport, monkeypatch)
    with open_recognizer(folder, threads=1) as recognizer:
        assert recognizer.languages == languages
        recognizer.recognize(SOUND, RecognitionOptions(language="en", most_tokens=2, second_try=False))
    assert asked[0] == prompt


def test_graphs_in_a_folder_of_their_own_are_found(everything: Path) -> None:
    folder = export(everything, MERGED)
    (folder / "onnx").mkdir()
    for path in folder.glob("*.onnx"):
        path.rename(folder / "onnx" / path.name)
    open_recognizer(folder, threads=1).close()


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(
        ModelNotFound, match=r"neither encoder\.onnx, encoder_model\.onnx nor model\.bin"
    ) as caught:
        open_recognizer(tmp_path)
    assert "models pull" in caught.value.hint
    with pytest.raises(OptionInvalid, match="threads"):
        open_recognizer(tmp_path, threads=0)


@pytest.mark.parametrize("name", ["decoder_model_merged.onnx", "config.json", "tokenizer.json"])
def test_a_missing_file_is_named(everything: Path, name: str) -> None:
    folder = export(everything)
    (folder / name).unlink()
    with pytest.raises(ModelNotFound, match=name.removesuffix("_merged.onnx")):
        open_recognizer(folder)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"decoder_attention_heads": "2"}, "decoder_attention_heads is '2'"),
        ({"d_model": 1}, "d_model is '1'"),
        ({"num_mel_bins": 10**9}, "num_mel_bins"),
        ({"max_target_positions": None}, "max_target_positions"),
        ({"suppress_tokens": [37]}, "suppressed token"),
        ({"suppress_tokens": [-2]}, "suppressed token"),
        ({"suppress_tokens": "all"}, "suppress_tokens"),
    ],
)
def test_a_wrong_setting_is_named(everything: Path, values: dict[str, object], says: str) -> None:
    folder = export(everything)
    (folder / "generation_config.json").unlink()
    change(folder / "config.json", **values)
    with pytest.raises(ModelFileInvalid, match=says):
        open_recognizer(folder)


def test_a_vocabulary_larger_than_the_network_s_is_refused(everything: Path) -> None:
    folder = export(everything)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"].append({"id": 37, "content": "<|0.02|>"})
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelFileInvalid, match="38 tokens, the network 37"):
        open_recognizer(folder)


def test_a_vocabulary_without_control_tokens_is_not_whisper_s(everything: Path) -> None:
    folder = export(everything)
    change(folder / "tokenizer.json", added_tokens=[])
    with pytest.raises(ModelFileInvalid, match=r"lacks <\|endoftext\|>"):
        open_recognizer(folder)


def test_other_graphs_are_refused(everything: Path) -> None:
    folder = export(everything)
    (folder / "decoder_model_merged.onnx").write_bytes((folder / "encoder_model.onnx").read_bytes())
    with pytest.raises(ModelUnsupported, match="takes input_features"):
        open_recognizer(folder)
    for name in ("encoder.onnx", "decoder.onnx"):
        (folder / name).write_bytes((folder / "encoder_model.onnx").read_bytes())
    with pytest.raises(ModelUnsupported, match="do not fit together"):
        open_recognizer(folder)


def test_a_damaged_graph_is_named(everything: Path) -> None:
    folder = export(everything)
    path = folder / "encoder_model.onnx"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelFileInvalid, match="encoder_model"):
        open_recognizer(folder)


def test_a_size_that_is_left_open_is_not_guessed(everything: Path) -> None:
    session = OnnxSession(everything / "encoder_model.onnx")
    assert session.size("input_features", 1) == 80
    with pytest.raises(ModelUnsupported, match="fixed size"):
        session.size("input_features", 0)
    with pytest.raises(ModelUnsupported, match="fixed size"):
        session.output_size("nothing", 0)


def test_a_git_lfs_pointer_is_called_one(everything: Path) -> None:
    folder = export(everything)
    (folder / "encoder_model.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ModelFileInvalid, match=r"encoder_model\.onnx is a Git LFS pointer") as caught:
        open_recognizer(folder)
    assert "git lfs pull" in caught.value.hint
