"""The catalog: known models, and where their files are on this device. Opens no connection."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..device.folders import store_folder, store_folder_or_none
from ..errors import ModelFileInvalid, ModelNotFound, ModelUnsupported, OptionInvalid
from ..values.files import expanded, is_dir, is_file
from ..values.units import format_bytes
from .manifest import MODEL_NAME, Manifest, ModelFile, ModelKind, read_manifest
from .store import arrived_bytes, model_file, model_folder, staged_bytes, stored_names

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_SPEECH_MODEL",
    "DEFAULT_VAD_MODEL",
    "Manifest",
    "ModelFile",
    "ModelKind",
    "ModelLocation",
    "find_file",
    "find_manifest",
    "find_speech_model",
    "find_vad_model",
    "list_models",
    "locate",
    "recognize",
    "split_name",
]

DEFAULT_MODEL = "smollm2-135m-instruct"
DEFAULT_SPEECH_MODEL = "whisper-base"
DEFAULT_VAD_MODEL = "silero-vad"
_KINDS = {  # what a person calls it, and one of them
    ModelKind.CHAT: ("a chat model", DEFAULT_MODEL),
    ModelKind.SPEECH: ("a speech model", DEFAULT_SPEECH_MODEL),
    ModelKind.VAD: ("a voice activity detector", DEFAULT_VAD_MODEL),
}


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
    ours = (package / "manifests", package.parents[1] / "models")
    store = store_folder_or_none()
    return ours if store is None else (store / "manifests", *ours)


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

    Raises ModelNotFound, saying where it looked and which command fetches the model,
    and ModelUnsupported for a name that stands for no chat model.
    """
    if isinstance(name_or_path, Path) or _looks_like_path(name_or_path):
        return _locate_path(Path(name_or_path))
    head, quantization = split_name(name_or_path)
    if head in _manifest_names():
        manifest = find_manifest(head)
        _require_kind(manifest, ModelKind.CHAT)
        return _locate_known(manifest, quantization)
    if head in stored_names():
        return _locate_unknown(head, quantization)
    if is_file(Path(name_or_path)):
        return _locate_path(Path(name_or_path))
    store = store_folder_or_none()
    places = [Path.cwd()] if store is None else [store / "models", Path.cwd()]
    raise _unknown(name_or_path, [str(place) for place in places])


def find_model(name: str) -> ModelLocation:
    """As locate(), for a name of any kind of model; the path of a converted one is its folder."""
    finders = {ModelKind.SPEECH: find_speech_model, ModelKind.VAD: find_vad_model}
    head = split_name(name)[0]
    manifest = find_manifest(head) if head in _manifest_names() else None
    if manifest is None or manifest.kind not in finders:
        return locate(name)
    return ModelLocation(finders[manifest.kind](name), manifest.name, manifest, None)


def find_speech_model(name_or_path: str | Path = DEFAULT_SPEECH_MODEL) -> Path:
    """The folder of a speech model's files, by its name, or by the folder's own path.

    Raises ModelNotFound, saying which command fetches it, and ModelUnsupported for the name
    of a model of another kind.
    """
    path = _path_given(name_or_path)
    if path is None:
        manifest = _known_as(str(name_or_path), ModelKind.SPEECH)
        path = stored_path(manifest)
        if path is None:
            raise _not_pulled(manifest.name, manifest, manifest.files)
        return path if is_dir(path) else path.parent
    if not is_dir(path):
        problem = "is a file" if is_file(path) else "does not exist"
        raise ModelNotFound(
            f"{path} {problem}; expected the folder of a speech model",
            hint=f"give the folder with encoder and decoder, or the name {DEFAULT_SPEECH_MODEL}",
            looked_in=[str(path.absolute().parent)],
        )
    return path


def find_vad_model(name_or_path: str | Path = DEFAULT_VAD_MODEL) -> Path:
    """The ONNX file of a voice activity detector, by its name, or by the file's own path.

    Raises ModelNotFound and ModelUnsupported, as find_speech_model() does.
    """
    path = _path_given(name_or_path)
    if path is None:
        manifest = _known_as(str(name_or_path), ModelKind.VAD)
        path = stored_path(manifest)
        if path is None:
            raise _not_pulled(manifest.name, manifest, manifest.files)
    if not is_file(path):
        raise ModelNotFound(
            f"{path} {'is a folder' if is_dir(path) else 'does not exist'}; expected an ONNX file",
            hint=f"give the file, or the name {DEFAULT_VAD_MODEL}",
            looked_in=[str(path.absolute().parent)],
        )
    return path


def stored_path(manifest: Manifest) -> Path | None:
    """The folder of a converted model, else the first of its files; None while it is not complete."""
    if manifest.conversion is None:
        paths = (model_file(manifest.name, file.file_name) for file in manifest.files)
        return next((path for path in paths if is_file(path)), None)
    folder = model_folder(manifest.name)
    complete = all((folder / name).is_file() for name in manifest.conversion.results)
    return folder if complete else None


def _path_given(name_or_path: str | Path) -> Path | None:
    """None for a name. A name of the catalog comes before a folder that happens to be called so."""
    if isinstance(name_or_path, Path) or _looks_like_path(name_or_path):
        return expanded(name_or_path)
    known = split_name(name_or_path)[0] in _manifest_names()
    return (
        Path(name_or_path)
        if not known and (is_dir(Path(name_or_path)) or is_file(Path(name_or_path)))
        else None
    )


def _known_as(name: str, kind: ModelKind) -> Manifest:
    manifest = find_manifest(split_name(name)[0])
    _require_kind(manifest, kind)
    return manifest


def _require_kind(manifest: Manifest, kind: ModelKind) -> None:
    if manifest.kind is kind:
        return
    expected, example = _KINDS[kind]
    raise ModelUnsupported(
        f"{manifest.name} is {_KINDS[manifest.kind][0]}, expected {expected}",
        hint=f"{example} is one; `edge-runtime models list` shows all",
        name=manifest.name,
        kind=manifest.kind.value,
        expected=kind.value,
    )


def recognize(path: Path) -> tuple[Manifest, ModelFile] | None:
    """The catalog entry that a file seems to be: same name, and same size where one is known."""
    size_bytes = path.stat().st_size
    for manifest, file in known_files():
        if path.name == file.file_name and file.size_bytes in (0, size_bytes):
            return manifest, file
    return None


def known_files() -> Iterator[tuple[Manifest, ModelFile]]:
    """Every file of every manifest that can be read, but for what is fetched to be converted."""
    for manifest in _readable():
        for file in () if manifest.conversion else manifest.files:
            yield manifest, file


def _readable() -> Iterator[Manifest]:
    for name in sorted(_manifest_names()):
        try:
            yield find_manifest(name)
        except ModelFileInvalid:  # one broken manifest of the user's must not hide the others
            continue


def _manifest_names() -> set[str]:
    folders = [folder for folder in manifest_folders() if folder.is_dir()]
    return {path.stem for folder in folders for path in folder.glob("*.toml")}


def _choose_files(manifest: Manifest, quantization: str) -> tuple[ModelFile, ...]:
    if not quantization:
        return manifest.files
    if manifest.conversion:
        raise ModelNotFound(
            f"{manifest.name} has no quantization {quantization[:40]!r}: there is one form of it",
            hint=f"call it {manifest.name}",
            name=manifest.name,
        )
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
    path = expanded(path)
    if not is_file(path):
        found = "is a folder" if is_dir(path) else "does not exist"
        raise ModelNotFound(
            f"{path} {found}",
            hint="give the path of one GGUF file, or a name from `edge-runtime models list`",
            looked_in=[str(path.absolute().parent)],
        )
    manifest, file = recognize(path) or (None, None)
    return ModelLocation(path, manifest.name if manifest else path.stem, manifest, file)


def _locate_known(manifest: Manifest, quantization: str) -> ModelLocation:
    files = _choose_files(manifest, quantization)
    try:
        store_folder()
    except OptionInvalid as error:
        raise ModelNotFound(
            f"{manifest.name} is not here: {error}",
            hint="set EDGE_RUNTIME_HOME to the folder that holds your models, or give the path of a file",
        ) from error
    for file in files:
        path = model_file(manifest.name, file.file_name)
        if is_file(path):
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
    if manifest.conversion:
        places, arrived = [model_folder(manifest.name)], staged_bytes(manifest.name)
    else:
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
