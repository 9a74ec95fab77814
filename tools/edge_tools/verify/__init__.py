"""Verifying a GGUF file: structure, numbers, tokenizer, and hashes against a known good one.

report = verify_model("gemma.gguf", against="original.gguf")
if not report.is_good:
    print(*report.problems, sep="\\n")
"""

from .report import Problem, TensorResult, VerifyReport
from .verify import verify_model

__all__ = ["Problem", "TensorResult", "VerifyReport", "verify_model"]
