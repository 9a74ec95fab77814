"""Sound files, piece by piece: plain WAV ourselves, all others through PyAV."""

from __future__ import annotations

import os
import shutil
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO, cast

from ...errors import AudioFormatUnsupported
from .av_file import NoSound, open_av, reason
from .block import AudioBlock
from .decoded import BrokenOff, DecodedSound
from .mono import MonoMixer
from .resampler import Resampler
from .speech_blocks import BLOCK_MS, SpeechBlocks
from .wav import plain_wav

_MOST_CHANNELS = 64
# Coders pad or trim the ends of their last blocks; half a second of speech is missed.
_MAY_BE_MISSING_S = 0.5
_MOST_PLACES = 5  # of damage that are named
_HINT = (
    "wav, flac, mp3, ogg, opus, m4a, mp4, webm and aiff can be read;"
    " others after: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
)


class AudioFile:
    """A file's sound; can be iterated again and again, and is never held as a whole.

    What cannot be decoded in the middle is skipped: the next block's dropped_samples says how much
    was lost, and an error after the last block where.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        track: int | str | None = None,
        name: str | None = None,
        block_ms: int = BLOCK_MS,
    ) -> None:
        """Reads the header.

        `source`: a path, or a file that is open for bytes and can seek; it stays open, and whoever
        opened it closes it. `track`: of several sound tracks, the number from 1 on, or the
        language; None: the one that players take. `name`: for messages.

        Raises AudioFormatUnsupported when there is no sound that can be decoded.
        """
        self._open_file: IO[bytes] | None = None
        if isinstance(source, (str, os.PathLike)):
            self.path = Path(name or source)
            self._open_file = self._spooled(Path(source))
            self._where = Path(source)
        else:
            self.path = self._where = Path(name or str(getattr(source, "name", "the open file")))
            self._open_file = source
        self._track = track
        self._block_ms = block_ms
        with self._opened() as sound:
            self.codec, self.rate_hz, self.channels = sound.codec, sound.rate_hz, sound.channels
            self.duration_s, self._promised_s = sound.duration_s, sound.promised_s
        if not 1 <= self.channels <= _MOST_CHANNELS:
            raise self._error(f"it claims {self.channels} channels; 1 to {_MOST_CHANNELS} can be read")
        Resampler(self.rate_hz)  # a rate that cannot be resampled is refused now, not while reading

    def __iter__(self) -> Iterator[AudioBlock]:
        """Raises AudioFormatUnsupported where sound is lost or missing, after all that could be read."""
        blocks, mixer = SpeechBlocks(self._block_ms), MonoMixer()
        error: AudioFormatUnsupported | None = None
        with self._opened() as sound:
            try:
                for piece in sound.pieces():
                    samples = mixer.mix(piece.frames, piece.rate_hz)
                    yield from blocks.push(samples, piece.rate_hz, lost_before=piece.lost_before)
            except BrokenOff as broken:
                error = self._broken(sound.read_s, str(broken))
            except AudioFormatUnsupported as raised:
                error = raised
        yield from blocks.finish()
        error = error or self._missing(sound)
        if error is not None:
            raise error

    def _missing(self, sound: DecodedSound) -> AudioFormatUnsupported | None:
        """The error to end with, if the sound is not all there."""
        if not sound.read_s:
            damaged = f": all {sound.damaged_packets} pieces are damaged" if sound.damaged_packets else ""
            return self._error(f"there is no sound in it ({self.codec}){damaged}")
        if sum(loss.length_s for loss in sound.losses) > _MAY_BE_MISSING_S:
            return self._damaged(sound)
        if (self._promised_s or 0.0) - sound.read_s > _MAY_BE_MISSING_S:
            return self._broken(sound.read_s, f"the header promises {self._promised_s:.1f} s of sound")
        return None

    def _spooled(self, path: Path) -> IO[bytes] | None:
        """A pipe with a name is read once: into a file without one. None for a real file."""
        try:
            mode = path.stat().st_mode
            if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
                return None
            file = TemporaryFile()  # noqa: SIM115 - it lives as long as this object, which may be iterated again
            weakref.finalize(self, file.close)
            with path.open("rb") as pipe:
                shutil.copyfileobj(pipe, file)
            return file
        except OSError as error:
            raise self._cannot_open(error) from error

    @contextmanager
    def _opened(self) -> Iterator[DecodedSound]:
        try:
            with self._bytes() as file, self._decoded(file) as sound:
                yield sound
        except NoSound as found:
            raise self._error(str(found)) from found
        except OSError as error:
            raise self._cannot_open(error) from error

    @contextmanager
    def _bytes(self) -> Iterator[BinaryIO]:
        if self._open_file is None:
            with self._where.open("rb") as file:
                yield file
        else:
            self._open_file.seek(0)
            yield cast(BinaryIO, self._open_file)

    @contextmanager
    def _decoded(self, file: BinaryIO) -> Iterator[DecodedSound]:
        wav = plain_wav(file)
        if wav is not None:
            yield wav
            return
        file.seek(0)
        with open_av(file, self._track) as sound:
            yield sound

    def _cannot_open(self, error: OSError) -> AudioFormatUnsupported:
        return AudioFormatUnsupported(
            f"{self.path} cannot be opened: {reason(error)}", hint="check its name", path=str(self.path)
        )

    def _broken(self, read_s: float, reason: str) -> AudioFormatUnsupported:
        return AudioFormatUnsupported(
            f"{self.path}: only {read_s:.1f} s could be read: {reason}",
            hint="what was there has been read; copy or download the file again to get the rest",
            path=str(self.path),
            read_s=read_s,
            promised_s=self._promised_s,
        )

    def _damaged(self, sound: DecodedSound) -> AudioFormatUnsupported:
        lost_s = sum(loss.length_s for loss in sound.losses)
        places = [f"{loss.start_s:.1f} to {loss.start_s + loss.length_s:.1f} s" for loss in sound.losses]
        more = f" and {len(places) - _MOST_PLACES} more places" if len(places) > _MOST_PLACES else ""
        return AudioFormatUnsupported(
            f"{self.path}: damaged: {lost_s:.1f} s of sound are lost,"
            f" from {', '.join(places[:_MOST_PLACES])}{more}",
            hint="everything else has been read; copy or download the file again to get the rest",
            path=str(self.path),
            read_s=sound.read_s,
            lost_s=lost_s,
        )

    def _error(self, found: str) -> AudioFormatUnsupported:
        return AudioFormatUnsupported(f"{self.path}: {found}", hint=_HINT, path=str(self.path))
