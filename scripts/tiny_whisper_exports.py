"""Makes tests/whisper_exports.zip: a tiny Whisper with random weights, as Hugging Face's Optimum exports it.

    pip install torch transformers==4.57.6 optimum==2.0.0 optimum-onnx==0.1.0
    python scripts/tiny_whisper_exports.py tests/whisper_exports.zip

Holds both layouts of the decoder, and what transformers makes of a piece of sound's features.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optimum.exporters.onnx import onnx_export_from_model  # type: ignore[import-not-found, unused-ignore]
from transformers import WhisperConfig, WhisperForConditionalGeneration

LETTERS, END, PROMPT, SUPPRESSED, SUPPRESSED_AT_START = 28, 28, [29, 30, 33, 35], [27], [28, 26]
TOKENS = 8


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = tiny_model()
        for layout in ("merged", "split"):
            onnx_export_from_model(
                model,
                output=folder / layout,
                task="automatic-speech-recognition-with-past",
                no_post_process=layout == "split",
                opset=18,
            )
        np.savez(folder / "expected.npz", **expected(model))
        names = [
            *("merged/config.json", "merged/generation_config.json", "merged/encoder_model.onnx"),
            *(
                "merged/decoder_model_merged.onnx",
                "split/decoder_model.onnx",
                "split/decoder_with_past_model.onnx",
            ),
            "expected.npz",
        ]
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in names:
                archive.write(folder / name, Path(name).name)


def tiny_model() -> Any:
    torch.manual_seed(12)
    config = WhisperConfig(
        **dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 8),
        **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
        **dict.fromkeys(("encoder_layers", "decoder_layers"), 1),
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), END),
        decoder_start_token_id=PROMPT[0],
        vocab_size=LETTERS + 9,
        max_target_positions=64,
    )
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config.suppress_tokens = SUPPRESSED
    model.generation_config.begin_suppress_tokens = SUPPRESSED_AT_START
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Fewer bits in the file; and matrices large enough for the sound to matter.
            weight.mul_(40 if weight.ndim >= 2 and "encoder.embed_positions" not in name else 1)
            weight.copy_((weight * 8).round() / 8)
    return model


def expected(model: Any) -> dict[str, Any]:
    """features (1, 80, 3000), the likeliest tokens, and the logits (TOKENS, vocabulary) that chose them."""
    # Of few bits, and repeated: 240,000 numbers would be most of the file.
    few = np.random.default_rng(2).integers(-8, 9, (80, 60)).astype(np.float32) / 8
    features = np.tile(few, 50)[None]
    tokens: list[int] = []
    rows = []
    with torch.no_grad():
        for _ in range(TOKENS):
            ids = torch.tensor([PROMPT + tokens])
            row = model(torch.from_numpy(features), decoder_input_ids=ids).logits[0, -1].numpy()
            rows.append(row)
            allowed = row.copy()
            allowed[
                [*SUPPRESSED, *range(END + 1, len(row)), *([] if tokens else SUPPRESSED_AT_START)]
            ] = -np.inf
            tokens.append(int(allowed.argmax()))
    print(f"tokens: {tokens}", file=sys.stderr)
    return {"features": features, "tokens": np.array(tokens), "logits": np.stack(rows)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
