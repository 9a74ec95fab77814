"""The distance between two tensors, added up piece by piece."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .difference import TensorError

# So many weights in double precision fit the processor's first caches. From 10,000 on OpenBLAS would
# start threads for each sum: with pieces of 262,144 adding up took 30 times as long (2-core Xeon).
_STEP = 8192


class ErrorSums:
    """Of weights as B has them, against A's. Sums are kept in double precision."""

    def __init__(self) -> None:
        self._count = self._not_finite = 0
        self._max_abs = 0.0
        self._difference_squares = self._a_squares = self._b_squares = self._products = 0.0

    def add(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
        """(n,) each."""
        for start in range(0, len(a), _STEP):
            self._add_step(a[start : start + _STEP], b[start : start + _STEP])

    def _add_step(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
        finite = np.isfinite(a) & np.isfinite(b)
        if not finite.all():
            self._not_finite += int(np.count_nonzero(~finite))
            a, b = a[finite], b[finite]
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        difference = wide_b - wide_a
        self._count += len(a)
        self._max_abs = max(self._max_abs, float(np.abs(difference).max(initial=0.0)))
        self._difference_squares += float(difference @ difference)
        self._a_squares += float(wide_a @ wide_a)
        self._b_squares += float(wide_b @ wide_b)
        self._products += float(wide_a @ wide_b)

    def result(self) -> TensorError:
        rms = math.sqrt(self._difference_squares / max(self._count, 1))
        a_rms = math.sqrt(self._a_squares / max(self._count, 1))
        lengths = math.sqrt(self._a_squares) * math.sqrt(self._b_squares)
        relative = rms / a_rms if a_rms else math.inf if rms else 0.0
        cosine = self._products / lengths if lengths else 0.0
        return TensorError(self._max_abs, rms, relative, min(max(cosine, -1.0), 1.0), self._not_finite)
