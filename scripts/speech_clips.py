"""Chooses clips out of Asterisk's sound packages and writes a manifest. speech_clips.sh unpacks them first.

Chosen with a seed from 1,044 clips whose script has three words at least and no signs that are spoken
as words; spread over lengths of 1 to 27 s. Where a transcript showed that the speaker says something
else, the clip was left out.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

RATE_HZ = 16_000
CLIPS = {
    "en": """
        basic-pbx-ivr-main call-fwd-on-busy conf-getpin conf-lockednow confbridge-dec-talk-vol-out
        confbridge-leave-in confbridge-lock-extended confbridge-mute-extended confbridge-mute-out
        confbridge-only-one confbridge-pin confbridge-pin-bad confbridge-rest-list-vol-in
        confbridge-rest-list-vol-out confbridge-unlocked demo-abouttotry demo-echotest demo-nogo
        demo-thanks dir-nomore feature-not-avail-line followme/no-recording info-about-last-call invalid
        number-not-answering priv-recordintro privacy-prompt queue-periodic-announce queue-youarenext
        tt-allbusy vm-invalid-password vm-mailboxfull vm-marked-nonurgent vm-newuser vm-nobox vm-nomore
        vm-record-prepend vm-reenterpassword vm-theperson vm-tmpexists
    """,
    "es": """
        confbridge-inc-list-vol-in confbridge-leave-out confbridge-lock-extended dictate/both_help
        followme/no-recording priv-introsaved privacy-prompt tt-weasels vm-changeto vm-duration
        vm-invalidpassword vm-num-i-have
    """,
    "fr": """
        auth-incorrect conf-enteringno confbridge-lock-extended confbridge-lock-no-join
        confbridge-mute-extended confbridge-participants confbridge-remove-last-in demo-echotest
        dictate/enter_filename invalid priv-recordintro vm-tmpexists
    """,
    "it": """
        conf-noempty confbridge-begin-glorious-c confbridge-menu-exit-in confbridge-pin demo-abouttotry
        demo-congrats tt-allbusy tt-somethingwrong vm-changeto vm-invalid-password vm-rec-busy
        vm-tmpexists
    """,
    "ru": """
        agent-newlocation confbridge-lock-extended confbridge-mute-extended confbridge-muted
        confbridge-rest-list-vol-out queue-thereare queue-youarenext unidentified-no-callback
        vm-mismatch vm-nobox vm-record-prepend vm-sorry
    """,
}


def main(packages: Path, folder: Path) -> int:
    entries = [entry for language in CLIPS for entry in make_clips(packages / language, folder, language)]
    lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    (folder / "clips.jsonl.partial").write_text(lines, encoding="utf-8")
    (folder / "clips.jsonl.partial").replace(folder / "clips.jsonl")
    seconds = sum(entry["seconds"] for entry in entries)
    print(f"{folder / 'clips.jsonl'}: {len(entries)} clips, {seconds / 60:.1f} minutes", file=sys.stderr)
    return 0


def make_clips(package: Path, folder: Path, language: str) -> list[dict[str, Any]]:
    """One language's, decoded to 16-bit WAV."""
    scripts = read_script(next(package.glob(f"usr/share/doc/*/core-sounds-{language}.txt.gz")))
    sounds = next(package.glob(f"usr/share/asterisk/sounds/{language}_*"))
    entries = []
    for name in CLIPS[language].split():
        path = folder / language / f"{name.replace('/', '_')}.wav"
        write_wav(path, decode(sounds / f"{name}.g722"))
        seconds = (path.stat().st_size - 44) / 2 / RATE_HZ
        entries.append(
            {"path": str(path), "language": language, "text": scripts[name], "seconds": round(seconds, 2)}
        )
    return entries


def read_script(path: Path) -> dict[str, str]:
    """Name of a clip -> what is said in it. The dots show that a clip goes on where another ended."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8-sig", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith(";"))
    return {name.strip(): text.strip().strip('."“” …') for name, text in pairs}


def decode(path: Path) -> bytes:
    """G.722 -> 16-bit mono samples at 16 kHz, little endian."""
    if shutil.which("ffmpeg"):
        output = ["-f", "s16le", "-ar", str(RATE_HZ), "-ac", "1", "-"]
        command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(path), *output]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    import av  # type: ignore[import-not-found, unused-ignore]

    with av.open(str(path), format="g722") as container:
        return b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))


def write_wav(path: Path, samples: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
