"""One loaded model and its vocabulary."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...errors import EngineClosed, ModelLoadFailed
from ...values.records import TokenText
from .library import last_log_lines, native
from .long_runs import TokenTexts, cut_long_runs
from .repack import repack_buffers
from .tensor_patterns import tensor_patterns

ProgressCallback = Callable[[float], bool]  # 0.0 to 1.0 -> go on?

# Loading logs through one global callback and sizes global pools: one at a time.
_loading = threading.Lock()


class _BufferOverride(ctypes.Structure):
    """Source: struct llama_model_tensor_buft_override in llama.cpp include/llama.h."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


class LlamaModel:
    """Weights and vocabulary. Tokenizing and token_text() are safe from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        use_extra_bufts: bool = True,
        repacked: Sequence[str] | None = None,
        lazy_rows: bool = False,
        gpu_layers: int | None = None,
        no_alloc: bool = False,
        vocab_only: bool = False,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Load `path`, which gguf_header has already found sound.

        repacked: names of the only tensors that get a copy in another order; None: as
        use_extra_bufts says. lazy_rows: leave per-layer embeddings on the device where
        llama.cpp knows how (Gemma 4). With no_alloc nothing is read but the metadata: for
        dry runs. With vocab_only there is a vocabulary and nothing else.
        Raises ModelLoadFailed with llama.cpp's last words.
        """
        self._c = native()
        self.path = path
        params = self._c.llama_model_default_params()
        params.use_extra_bufts = use_extra_bufts and repacked is None
        if use_extra_bufts and repacked:
            overrides = _repacking(repacked)
            params.tensor_buft_overrides = ctypes.addressof(overrides)
        if lazy_rows:
            params.lazy_mode = self._c.LLAMA_LAZY_MODE_ON
        if gpu_layers is not None:
            params.n_gpu_layers = gpu_layers
        if gpu_layers == 0:  # or long prompts' matrix products would still go to the GPU
            params.split_mode, params.main_gpu = self._c.LLAMA_SPLIT_MODE_NONE, -1
        self.uses_gpu = gpu_layers != 0 and bool(self._c.llama_supports_gpu_offload())
        if no_alloc:  # asserts in any other load mode
            params.no_alloc, params.load_mode = True, self._c.LLAMA_LOAD_MODE_NONE
        params.vocab_only = vocab_only
        if progress is not None:
            params.progress_callback = self._c.llama_progress_callback(lambda part, _user: progress(part))
        with _loading:
            self.pointer = self._c.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            raise ModelLoadFailed(
                f"{path}: llama.cpp could not load it",
                hint="its last words: " + " | ".join(last_log_lines()),
                path=str(path),
                stage="model",
                log=last_log_lines(),
            )
        self._read_vocabulary()

    def _read_vocabulary(self) -> None:
        self.vocabulary = self._c.llama_model_get_vocab(self.pointer)
        self.vocabulary_size = int(self._c.llama_vocab_n_tokens(self.vocabulary))
        self.window_tokens = max(int(self._c.llama_model_n_swa(self.pointer)), 0)
        self.embedding_length = int(self._c.llama_model_n_embd_out(self.pointer))
        self._token_texts: dict[int, TokenText] = {}
        self._read_tokenizer()
        self._tokenizing = threading.Lock()  # close() waits for whoever reads the vocabulary
        self._bind_fast_calls()

    def metadata(self, key: str) -> str:
        """A scalar of the file's metadata as text; empty when absent. "{arch}" is filled in."""
        if "{arch}" in key:
            key = key.replace("{arch}", self.metadata("general.architecture"))
        buffer = ctypes.create_string_buffer(256)
        length = self._c.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if length >= 0 else ""

    @property
    def pools(self) -> bool:
        """An embedding model: it wants a text whole, and pools its embedding itself."""
        pooling = self.metadata("{arch}.pooling_type")
        return pooling not in ("", "0") or self.metadata("{arch}.attention.causal") == "false"

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Text -> token ids. `parse_special` reads "<|im_end|>" and the like as control tokens.

        A run of a thousand characters without a space may be cut: see long_runs.
        """
        pieces = self._pieces(text)
        if len(pieces) == 1:
            return self._tokenize_piece(text, add_special, parse_special)
        tokens = [token for piece in pieces for token in self._tokenize_piece(piece, False, parse_special)]
        return [*self._bos, *tokens, *self._eos] if add_special else tokens

    def tokenize_prompt(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """As tokenize(), but never with the end-of-text token that add_special puts behind the texts
        of some models: a prompt is to be continued."""
        tokens = self.tokenize(text, add_special=add_special, parse_special=parse_special)
        if add_special and self._eos and tokens[-1:] == self._eos:
            del tokens[-1]
        return tokens

    def _read_tokenizer(self) -> None:
        c, vocabulary = self._c, self.vocabulary
        self._is_byte_pair = c.llama_vocab_type(vocabulary) == c.LLAMA_VOCAB_TYPE_BPE
        self._has_spaced_words = self.metadata("tokenizer.ggml.pre") == "exaone-moe"
        self._control_texts: TokenTexts | None = None  # read when a text is cut
        # What add_special puts around the texts of a byte-pair vocabulary.
        self._bos = [c.llama_vocab_bos(vocabulary)] if c.llama_vocab_get_add_bos(vocabulary) else []
        self._eos = [c.llama_vocab_eos(vocabulary)] if c.llama_vocab_get_add_eos(vocabulary) else []

    def _pieces(self, text: str) -> list[str]:
        """The whole text, but for byte-pair vocabularies: see long_runs."""
        if not self._is_byte_pair:
            return [text]
        return cut_long_runs(text, self._cuts_token, spaced=self._has_spaced_words)

    def _cuts_token(self, text: str, index: int) -> bool:
        if self._control_texts is None:
            with self._tokenizing:
                self._control_texts = TokenTexts(self._read_control_texts())
        return self._control_texts.are_cut(text, index)

    def _read_control_texts(self) -> Iterator[str]:
        """Of all tokens that llama.cpp looks for before it splits a text: 0.2 s for 262,144 tokens."""
        c, vocabulary = self._c, self._open_vocabulary()
        kinds = c.LLAMA_TOKEN_ATTR_CONTROL | c.LLAMA_TOKEN_ATTR_USER_DEFINED | c.LLAMA_TOKEN_ATTR_UNKNOWN
        for token in range(self.vocabulary_size):
            if c.llama_vocab_get_attr(vocabulary, token) & kinds:
                yield c.llama_vocab_get_text(vocabulary, token).decode("utf-8", "replace")

    def _tokenize_piece(self, text: str, add_special: bool, parse_special: bool) -> list[int]:
        raw = text.encode("utf-8", errors="replace")
        room = len(raw) + 8
        while True:
            tokens = (ctypes.c_int32 * room)()
            with self._tokenizing:
                count = self._c.llama_tokenize(
                    self._open_vocabulary(), raw, len(raw), tokens, room, add_special, parse_special
                )
            if count >= 0:
                return tokens[:count]
            room = -count

    def token_text(self, token: int) -> TokenText:
        """What a token stands for; read from llama.cpp once, when it first comes up."""
        known = self._token_texts.get(token)
        if known is None:
            with self._tokenizing:
                vocabulary = self._open_vocabulary()
                shown = self._read_piece(vocabulary, token, False)
                spelled = shown or self._read_piece(vocabulary, token, True)
                known = TokenText(shown, spelled, self._is_end(vocabulary, token))
            self._token_texts[token] = known
        return known

    def _read_piece(self, vocabulary: object, token: int, special: bool) -> bytes:
        room = 256
        while True:
            piece = ctypes.create_string_buffer(room)
            length = self._to_piece(vocabulary, token, piece, room, 0, special)
            if length >= 0:
                return ctypes.string_at(piece, length)
            room = -length

    def _bind_fast_calls(self) -> None:
        """A new token is looked up between two decodes: without giving up the GIL, as in LlamaContext."""
        integer, pointer, flag = ctypes.c_int32, ctypes.c_void_p, ctypes.c_bool
        library = self._c._lib
        to_piece = ctypes.PYFUNCTYPE(integer, pointer, integer, ctypes.c_char_p, integer, integer, flag)
        self._to_piece = to_piece(("llama_token_to_piece", library))
        self._is_end = ctypes.PYFUNCTYPE(flag, pointer, integer)(("llama_vocab_is_eog", library))

    def is_control(self, token: int) -> bool:
        return bool(self._c.llama_vocab_is_control(self._open_vocabulary(), token))

    def beginning_text(self) -> str:
        """Text of the token that begins a text; empty when the model has none."""
        return self._text_of(int(self._c.llama_vocab_bos(self._open_vocabulary())))

    def end_text(self) -> str:
        """Text of the token that ends a text; empty when the model has none."""
        return self._text_of(int(self._c.llama_vocab_eos(self._open_vocabulary())))

    def _text_of(self, token: int) -> str:
        return "" if token < 0 else self.token_text(token).spelled.decode(errors="replace")

    def _open_vocabulary(self) -> object:
        if self.pointer is None:
            raise EngineClosed("the model is closed", hint="open the runtime again")
        return self.vocabulary

    def close(self) -> None:
        with self._tokenizing:
            if self.pointer is not None:
                self._c.llama_model_free(self.pointer)
                self.pointer = self.vocabulary = None


def _repacking(names: Sequence[str]) -> ctypes.Array[_BufferOverride]:
    """A list, closed by an empty entry, that sends exactly these tensors to the repacking buffer."""
    kinds = repack_buffers().types[:1]
    patterns = tensor_patterns(dict.fromkeys(names, kinds[0])) if kinds else ()
    overrides = (_BufferOverride * (len(patterns) + 1))()
    for override, (pattern, kind) in zip(overrides, patterns, strict=False):
        override.pattern, override.buffer_type = pattern.encode(), kind
    return overrides
