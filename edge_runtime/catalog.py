"""Which models are known, and where a model's file is on this device. Opens no connection."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelFileInvalid, ModelNotFound
from .manifest import MODEL_NAME, Manifest, ModelFile, read_manifest
from .store import arrived_bytes, model_file, model_folder, store_folder, stored_names
from .units import format_bytes

__all__ = [
    "DEFAULT_MODEL",
    "Manifest",
    "ModelFile",
    "ModelLocation",
    "find_file",
    "find_manifest",
    "list_models",
    "locate",
    "recognize",
    "split_name",
]

DEFAULT_MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class ModelLocation:
    """A model file that is on this device."""

    path: Path
    name: str
    manifest: Manifest | None  # None: a file that no manifest describes
    file: ModelFile | None


def manifest_folders() -> tuple[Path, ...]:
    """The user's own manifests come first: one of theirs replaces ours of the same name."""
    package = Path(__file__).parent
    # Installed, the manifests are inside the package; in a source checkout, next to it.
    return (store_folder() / "manifests", package / "models", package.parent / "models")


def list_models() -> tuple[Manifest, ...]:
    """Every known model, by name, the default first. Raises ModelFileInvalid for a broken manifest."""
    names = sorted(_manifest_names(), key=lambda name: (name != DEFAULT_MODEL, name))
    return tuple(find_manifest(name) for name in names)


def find_manifest(name: str) -> Manifest:
    """The manifest of that name; only its own file is read. Raises ModelNotFound with close matches."""
    if re.fullmatch(MODEL_NAME, name):
        for folder in manifest_folders():
            if (folder / f"{name}.toml").is_file():
                return read_manifest(folder / f"{name}.toml")
    raise _unknown(name, [str(folder) for folder in manifest_folders()])


def split_name(name: str) -> tuple[str, str]:
    """'gemma-3-1b-it:Q4_0' -> ('gemma-3-1b-it', 'Q4_0'); without a colon the second is empty."""
    head, _, quantization = name.strip().partition(":")
    return head.lower(), quantization


def find_file(name: str) -> tuple[Manifest, ModelFile]:
    """'NAME' or 'NAME:QUANT' -> its manifest and the file meant, the first one without QUANT."""
    head, quantization = split_name(name)
    manifest = find_manifest(head)
    return manifest, _choose_files(manifest, quantization)[0]


def locate(name_or_path: str | Path) -> ModelLocation:
    """The file that a name, 'NAME:QUANT' or the path of a GGUF file stands for.

    A name without a quantization means the first of its files that is here.
    Nothing is hashed: a file in the store got its name only after a check.

    Raises ModelNotFound, saying where it looked and which command fetches the model.
    """
    if isinstance(name_or_path, Path) or _looks_like_path(name_or_path):
        return _locate_path(Path(name_or_path))
    head, quantization = split_name(name_or_path)
    if head in _manifest_names():
        return _locate_known(find_manifest(head), quantization)
    if head in stored_names():
        return _locate_unknown(head, quantization)
    if Path(name_or_path).is_file():
        return _locate_path(Path(name_or_path))
    raise _unknown(name_or_path, [str(store_folder() / "models"), str(Path.cwd())])


def recognize(path: Path) -> tuple[Manifest, ModelFile] | None:
    """The catalog entry that a file seems to be: same name, and same size where one is known."""
    size_bytes = path.stat().st_size
    for manifest, file in known_files():
        if path.name == file.file_name and file.size_bytes in (0, size_bytes):
            return manifest, file
    return None


def known_files() -> Iterator[tuple[Manifest, ModelFile]]:
    """Every file of every manifest that can be read."""
    for name in sorted(_manifest_names()):
        try:
            manifest = find_manifest(name)
        except ModelFileInvalid:  # one broken manifest of the user's must not hide the others
            continue
        for file in manifest.files:
            yield manifest, file


def _manifest_names() -> set[str]:
    folders = [folder for folder in manifest_folders() if folder.is_dir()]
    return {path.stem for folder in folders for path in folder.glob("*.toml")}


def _choose_files(manifest: Manifest, quantization: str) -> tuple[ModelFile, ...]:
    if not quantization:
        return manifest.files
    chosen = tuple(f for f in manifest.files if f.quantization.lower() == quantization.lower())
    if chosen:
        return chosen
    offered = ", ".join(f.quantization for f in manifest.files)
    raise ModelNotFound(
        f"{manifest.name} has no quantization {quantization[:40]!r}",
        hint=f"there is: {offered}; for example {manifest.name}:{manifest.files[0].quantization}",
        name=manifest.name,
        offered=offered,
    )


def _looks_like_path(text: str) -> bool:
    separators = [sign for sign in ("/", os.sep, os.altsep) if sign]
    return text.lower().endswith(".gguf") or any(sign in text for sign in separators)


def _locate_path(path: Path) -> ModelLocation:
    path = path.expanduser()
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise ModelNotFound(
            f"{path} {found}",
            hint="give the path of one GGUF file, or a name from `edge-runtime models list`",
            looked_in=[str(path.absolute().parent)],
        )
    manifest, file = recognize(path) or (None, None)
    return ModelLocation(path, manifest.name if manifest else path.stem, manifest, file)


def _locate_known(manifest: Manifest, quantization: str) -> ModelLocation:
    files = _choose_files(manifest, quantization)
    for file in files:
        path = model_file(manifest.name, file.file_name)
        if path.is_file():
            return ModelLocation(path, manifest.name, manifest, file)
    own = None if quantization else _first_gguf(manifest.name, "")
    if own:
        return ModelLocation(own, manifest.name, manifest, None)  # imported under this name by the user
    raise _not_pulled(f"{manifest.name}:{quantization}" if quantization else manifest.name, manifest, files)


def _locate_unknown(name: str, quantization: str) -> ModelLocation:
    path = _first_gguf(name, quantization)
    if path is None:
        raise _unknown(f"{name}:{quantization}" if quantization else name, [str(model_folder(name))])
    return ModelLocation(path, name, None, None)


def _first_gguf(name: str, quantization: str) -> Path | None:
    """The first by name: of a split set that is part 1, which the engine wants."""
    paths = sorted(model_folder(name).glob("*.gguf"))
    return next((path for path in paths if quantization.lower() in path.stem.lower()), None)


def _not_pulled(name: str, manifest: Manifest, files: tuple[ModelFile, ...]) -> ModelNotFound:
    places = [model_file(manifest.name, file.file_name) for file in files]
    arrived = next(filter(None, map(arrived_bytes, places)), 0)
    so_far = f"; {format_bytes(arrived)} of it have arrived" if arrived else ""
    return ModelNotFound(
        f"{name} is not on this device{so_far}; looked for {', '.join(map(str, places))}",
        hint=f"edge-runtime models pull {name}",
        name=name,
        looked_in=[str(place) for place in places],
    )


def _unknown(name: str, looked_in: list[str]) -> ModelNotFound:
    names = sorted({*_manifest_names(), *stored_names()})
    close = difflib.get_close_matches(split_name(name)[0], names, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    return ModelNotFound(
        f"no model is called {name[:80]!r}; looked in {', '.join(looked_in)}",
        hint=f"{meant}`edge-runtime models list` shows all; the path of a GGUF file works too",
        name=name[:80],
        close=close,
        looked_in=looked_in,
    )
