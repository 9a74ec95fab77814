"""One llama.cpp context: batches in, logits out, and the sequences it remembers."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BackendFailed, HistoryUnavailable, ModelLoadFailed
from ..backend import Chunk, DecodeStatus, Float32Array
from ..context_settings import ContextSettings
from .abort_signal import AbortSignal, FlagSignal
from .context_params import context_params
from .library import last_log_lines, native
from .model import LlamaModel

_STATUS_OF_CODE = {1: DecodeStatus.NO_ROOM, 2: DecodeStatus.ABORTED}


class LlamaContext:
    """Belongs to one thread; only abort() may be called from another."""

    def __init__(
        self,
        model: LlamaModel,
        settings: ContextSettings,
        *,
        embeddings: bool = False,
        signal: AbortSignal | None = None,
        output_rows: int | None = None,
        eval_callback: Any = None,
    ) -> None:
        """Raises ModelLoadFailed (stage "context"), usually for want of memory.

        output_rows: see context_params(). eval_callback: see activations.py.
        """
        self._c = native()
        self._vocabulary_size = model.vocabulary_size
        self._signal = signal or FlagSignal()
        params = context_params(settings, embeddings=embeddings, output_rows=output_rows)
        params.abort_callback = ctypes.cast(self._signal.callback, type(params.abort_callback))
        params.abort_callback_data = self._signal.data
        if eval_callback is not None:
            params.cb_eval = eval_callback
        self.pointer = self._c.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise ModelLoadFailed(
                f"{model.path}: llama.cpp could not make a context of {params.n_ctx} tokens",
                hint="a smaller context_tokens= takes less; last words: " + " | ".join(last_log_lines(3)),
                path=str(model.path),
                stage="context",
                log=last_log_lines(),
            )
        self._memory = self._c.llama_get_memory(self.pointer)
        self.batch_tokens = int(self._c.llama_n_batch(self.pointer))
        self._make_batch()
        self._bind_fast_calls(model.uses_gpu)

    def _make_batch(self) -> None:
        """Arrays that live as long as the context; a step only writes numbers into them."""
        room = self.batch_tokens
        self._tokens = np.zeros(room, np.int32)
        self._positions = np.zeros(room, np.int32)
        self._sequence_counts = np.ones(room, np.int32)
        self._sequences = np.zeros(room, np.int32)
        first = self._sequences.ctypes.data
        self._sequence_pointers = np.arange(first, first + 4 * room, 4, dtype=np.uintp)
        self._wants_logits = np.zeros(room, np.int8)
        batch = self._batch = self._c.llama_batch()
        kinds = dict(batch._fields_)
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._sequence_counts),
            ("seq_id", self._sequence_pointers),
            ("logits", self._wants_logits),
        ):
            setattr(batch, name, ctypes.cast(array.ctypes.data, kinds[name]))

    def _bind_fast_calls(self, model_uses_gpu: bool) -> None:
        """llama_get_logits_ith as a plain address: a ctypes pointer object costs more than the call.

        PYFUNCTYPE keeps the GIL: giving it up for so short a call hands it to a
        reader that waits for it, and the next token with it.
        """
        make = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
        self._decode = self._c.llama_decode
        self._wait = self._c.llama_synchronize if model_uses_gpu else None
        self._logits_address = make(("llama_get_logits_ith", self._c._lib))
        self._embedding_address = make(("llama_get_embeddings_ith", self._c._lib))
        self._views: dict[int, Float32Array] = {}
        self._last_rows: list[int] = []
        self._one_row_of = -1  # sequence whose single token was the last step; -1: it was another kind
        self._one_row: Float32Array | None = None  # its logits

    def decode(self, chunks: Sequence[Chunk], *, all_rows: bool = False) -> DecodeStatus:
        """Evaluate one step. At most batch_tokens tokens in all; `all_rows` yields a row for each.

        Raises BackendFailed; its fact `session_good` says whether the context may be used again.
        """
        row = 0
        if len(chunks) == 1 and len(chunks[0].tokens) == 1:  # an answer's next token
            self._tokens[0], self._positions[0] = chunks[0].tokens[0], chunks[0].first_position
            if self._one_row_of != chunks[0].sequence:
                self._sequences[0], self._wants_logits[0] = chunks[0].sequence, True
                self._one_row_of, self._one_row, self._last_rows = chunks[0].sequence, None, [0]
            return self._run(1)
        self._one_row_of, self._one_row, self._last_rows = -1, None, []
        for chunk in chunks:
            tokens = chunk.tokens
            end = row + len(tokens)
            if end - row == 1:  # the common case, without numpy's slices
                self._tokens[row] = tokens[0]
                self._positions[row] = chunk.first_position
                self._sequences[row] = chunk.sequence
            else:
                self._tokens[row:end] = tokens
                self._positions[row:end] = range(chunk.first_position, chunk.first_position + end - row)
                self._sequences[row:end] = chunk.sequence
                self._wants_logits[row:end] = all_rows
            self._wants_logits[end - 1] = chunk.wants_logits
            self._last_rows.append(end - 1)
            row = end
        return self._run(row)

    def _run(self, row: int) -> DecodeStatus:
        self._batch.n_tokens = row
        code = self._decode(self.pointer, self._batch)
        if self._wait is not None:
            # A GPU still computes when llama_decode returns. Wait here, where others may run
            # and the clock does not: llama_get_logits_ith would, holding the GIL.
            self._wait(self.pointer)
        return DecodeStatus.DONE if code == 0 else self._status_of(code, row)

    def _status_of(self, code: int, token_count: int) -> DecodeStatus:
        status = _STATUS_OF_CODE.get(code)
        if status is None:
            raise BackendFailed(
                f"llama.cpp failed to evaluate {token_count} tokens (code {code})",
                hint="last words: " + " | ".join(last_log_lines(3)),
                return_code=code,
                session_good=code == -1,
            )
        return status

    def logits(self, chunk_index: int) -> Float32Array:
        """(vocabulary,) of the last token of that chunk of the last step; overwritten by the next."""
        if self._one_row is not None:  # of the step before, which was like this one: it has not moved
            return self._one_row
        address = self._logits_address(self.pointer, self._last_rows[chunk_index])
        view = self._views.get(address)
        if view is None:
            view = _float_view(address, self._vocabulary_size)
            if len(self._views) > 64:  # the buffer moves only when it grows
                self._views.clear()
            self._views[address] = view
        if self._one_row_of >= 0:
            self._one_row = view
        return view

    def arm_abort(self) -> None:
        self._signal.arm()

    def abort(self) -> None:
        """Make the running decode return ABORTED at its next node; any thread may call it."""
        self._signal.abort()

    def remove(self, sequence: int, first_position: int) -> bool:
        """Forget a sequence from first_position on. False when only all of it can be forgotten."""
        return bool(self._c.llama_memory_seq_rm(self._memory, sequence, first_position, -1))

    def copy(self, source: int, target: int, end_position: int) -> None:
        self._c.llama_memory_seq_rm(self._memory, target, -1, -1)
        self._c.llama_memory_seq_cp(self._memory, source, target, 0, end_position)

    def first_position(self, sequence: int) -> int:
        """Earliest position still remembered; above 0 only behind a sliding window; -1: empty."""
        return int(self._c.llama_memory_seq_pos_min(self._memory, sequence))

    def save_sequence(self, sequence: int, tokens: Sequence[int], path: Path) -> int:
        """Write a sequence's cache and tokens to `path`; returns bytes written."""
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        written = int(
            self._c.llama_state_seq_save_file(self.pointer, os.fsencode(path), sequence, array, len(tokens))
        )
        if written == 0:
            raise HistoryUnavailable(f"{path}: the conversation's state could not be written")
        return written

    def load_sequence(self, sequence: int, path: Path, room_tokens: int) -> list[int]:
        """Bring a saved sequence back; returns its tokens, or none when it does not fit this model."""
        tokens = (ctypes.c_int32 * room_tokens)()
        count = ctypes.c_size_t()
        self._c.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        read = self._c.llama_state_seq_load_file(
            self.pointer, os.fsencode(path), sequence, tokens, room_tokens, ctypes.byref(count)
        )
        if read == 0:
            self._c.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            return []
        return tokens[: count.value]

    def embedding(self, row: int, length: int) -> Float32Array:
        return _float_view(self._embedding_address(self.pointer, row), length)

    def sequence_embedding(self, sequence: int, length: int) -> Float32Array:
        pointer = self._c.llama_get_embeddings_seq(self.pointer, sequence)
        return _float_view(ctypes.cast(pointer, ctypes.c_void_p).value, length)

    def close(self) -> None:
        if self.pointer is not None:
            self._c.llama_free(self.pointer)
            self.pointer = self._memory = None
            self._views.clear()


def _float_view(address: int | None, length: int) -> Float32Array:
    if not address:
        raise BackendFailed("llama.cpp returned no result row", session_good=False)
    return np.ctypeslib.as_array((ctypes.c_float * length).from_address(address))
