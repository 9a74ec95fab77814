"""The cost of quantization in figures: perplexity, KL divergence, agreement on the likeliest token.

quality = measure_quality(["model-q4_0.gguf"], reference="model-f16.gguf", text=text)
print(quality.models[0].divergence.mean.value)
"""

from .measuring import DEFAULT_CHUNKS, measure_quality
from .result import ModelQuality, Quality
from .tally import Divergence, Mean

__all__ = ["DEFAULT_CHUNKS", "Divergence", "Mean", "ModelQuality", "Quality", "measure_quality"]
