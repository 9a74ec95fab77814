"""Real weights through the tools: SmolLM2 to a checkpoint, converted, quantized four ways, and compared."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from edge_tools.convert import convert
from edge_tools.quality import Quality, measure_quality
from edge_tools.quantize import QuantizeOptions, quantize

from edge_runtime import Runtime

from .checkpoint_of import write_checkpoint
from .models import model_path
from .table import Row

_TYPES = ("Q8_0", "Q6_K", "Q4_K_M", "Q4_0")  # each should be further from the reference than the one before
_MOST_Q8_NATS = 0.01
_TEXT = Path(__file__).parents[2] / "LICENSE"
# One of the few questions that 135 million parameters answer; on most, F16 itself is of two minds.
_QUESTION, _WORD = "What is the opposite of hot?", "cold"


def measure(repeat: int) -> list[Row]:
    """Nothing here is timed: once is enough."""
    with TemporaryDirectory() as folder:
        models = _make(Path(folder))
        reference, *quantized = models.values()
        quality = measure_quality(quantized, reference, _TEXT.read_text(encoding="utf-8"), chunks=None)
        return [*_divergences(quality), *(_answer(name, path) for name, path in models.items())]


def _make(folder: Path) -> dict[str, Path]:
    write_checkpoint(model_path("smollm2-135m-instruct"), folder / "checkpoint")
    models = {"F16": convert(folder / "checkpoint", folder / "f16.gguf", "f16").path}
    for name in _TYPES:
        models[name] = folder / f"{name}.gguf"
        quantize(models["F16"], models[name], QuantizeOptions(type=name))
    return models


def _divergences(quality: Quality) -> list[Row]:
    rows, before = [], 0.0
    for name, model in zip(_TYPES, quality.models, strict=True):
        assert model.divergence is not None
        nats, same = model.divergence.mean.value, model.divergence.top1_agreement
        note = f"{model.bits_per_weight:.2f} bits a weight, same first choice {same:.1%}"
        most = _MOST_Q8_NATS if name == "Q8_0" else None
        rows.append(
            Row(f"{name}: KL divergence from F16", nats, "nats", most=most, least=before or None, note=note)
        )
        before = nats
    return rows


def _answer(name: str, path: Path) -> Row:
    with Runtime.open(path, context_tokens=512) as runtime:
        reply = runtime.chat([{"role": "user", "content": _QUESTION}], temperature=0, max_tokens=24)
    note = " ".join(reply.text.split())[:60]
    return Row(f"{name}: the opposite of hot is {_WORD}", float(_WORD in reply.text), "", least=1, note=note)
