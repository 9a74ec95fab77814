"""Files from Hugging Face.

`huggingface_hub` knows the addresses, the log-in, the cache and the hashes that the hub
publishes (HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are its settings); the bytes
come over our own downloader, so that resume, disk-full and checks are the same for all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import ModelDownloadFailed
from ...values.files import BLOCK_BYTES, reading
from ...values.progress import Progress
from ...values.units import format_bytes
from ..manifest import HubSource, ModelFile
from ..store import require_room
from .download import Remote, download, require_network
from .partial_file import Expected, PartialFile, expected_of

_HTTP_LIBRARIES = {"requests", "httpx", "httpx2"}  # huggingface_hub 0.x, 1.x and 2.x


def pull_from_hub(source: HubSource, file: ModelFile, partial: PartialFile, progress: Progress) -> Expected:
    """Fill `partial`. Returns what it must be: what the manifest says, or else what the hub says."""
    hub = _import_hub(source)
    cached = hub.try_to_load_from_cache(source.repository, source.path, revision=source.revision)
    # Without a hash of the manifest's there is nothing to trust the copy by.
    if isinstance(cached, str) and file.sha256 and _copy(Path(cached), file, partial):
        progress.say(f"{source.path}: copied from the Hugging Face cache")
        return expected_of(file)
    require_network(source.path)
    url = hub.hf_hub_url(
        source.repository,
        source.path,
        revision=source.revision,
        endpoint=os.environ.get("HF_ENDPOINT") or None,
    )
    expected = _merge(file, _ask(hub, source, url), source, progress)
    require_room(partial.final.parent, max(expected.size_bytes - partial.size_bytes, 0))
    headers = hub.utils.build_hf_headers(token=hub.get_token() or False)
    try:
        download(Remote(url, source.path, expected.size_bytes, headers), partial, progress)
    except ModelDownloadFailed as error:
        if error.facts.get("status") in {401, 403}:
            raise _gated(source) from error
        raise
    return expected


def _import_hub(source: HubSource) -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.utils
    except ImportError as error:
        raise ModelDownloadFailed(
            f"{source.path} comes from Hugging Face, and huggingface_hub is not installed",
            hint='pip install "edge-runtime[hub]", or fetch the file elsewhere and import it',
        ) from error
    module: ModuleType = huggingface_hub
    return module


def _copy(path: Path, expected: ModelFile, partial: PartialFile) -> bool:
    """Fill `partial` with a copy of `path`; False when that is not the expected file."""
    if path.stat().st_size != expected.size_bytes:
        return False
    partial.keep_only(0)
    with reading(path) as handle:
        while block := handle.read(BLOCK_BYTES):
            partial.write(block)
    if partial.found.sha256 == expected.sha256:
        return True
    partial.keep_only(0)
    return False


def _ask(hub: ModuleType, source: HubSource, url: str) -> Expected:
    """Size and SHA-256 as the hub publishes them; the ETag of a large file is its SHA-256."""
    with _hub_errors(hub, source):
        metadata = hub.get_hf_file_metadata(url, token=hub.get_token() or False)
    etag = str(metadata.etag or "")
    return Expected(int(metadata.size or 0), etag if re.fullmatch(r"[0-9a-f]{64}", etag) else "", "hub")


def _merge(file: ModelFile, published: Expected, source: HubSource, progress: Progress) -> Expected:
    """The manifest's hash decides. Without one its size is only a hint, and the hub decides."""
    if file.sha256:
        if published.sha256 and published.sha256 != file.sha256:
            raise ModelDownloadFailed(
                f"{source.repository} has another {source.path} by now: sha256 {published.sha256}, "
                f"the manifest says {file.sha256}",
                hint="update edge-runtime, or import the file that the manifest describes",
                expected=file.sha256,
                found=published.sha256,
            )
        return expected_of(file)
    if file.size_bytes and published.size_bytes not in (0, file.size_bytes):
        progress.say(
            f"{source.path} has changed since its manifest was written: "
            f"{format_bytes(published.size_bytes)}, not {format_bytes(file.size_bytes)}"
        )
    return published


@contextmanager
def _hub_errors(hub: ModuleType, source: HubSource) -> Iterator[None]:
    errors: Any = hub.utils
    http_errors = [c for c in errors.HfHubHTTPError.__mro__ if c.__module__.split(".")[0] in _HTTP_LIBRARIES]
    try:
        yield
    except errors.GatedRepoError as error:
        raise _gated(source) from error
    except errors.RepositoryNotFoundError as error:  # the hub's answer to strangers who ask for private ones
        raise _gated(source, "does not exist, or is not open to everyone") from error
    except (errors.EntryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelDownloadFailed(
            f"{source.repository} at {source.revision} has no {source.path}",
            hint=f"see https://huggingface.co/{source.repository}; correct the manifest, or import the file",
            status=404,
        ) from error
    except (OSError, *http_errors) as error:
        raise ModelDownloadFailed(
            f"{source.path}: Hugging Face cannot be reached: {str(error).strip().splitlines()[0][:300]}",
            hint="check the connection, or import the file from another device",
        ) from error


def _gated(source: HubSource, problem: str = "asks you to accept its terms first") -> ModelDownloadFailed:
    return ModelDownloadFailed(
        f"{source.repository} {problem}",
        hint=f"log in at https://huggingface.co/{source.repository}, accept the terms, make a token at "
        "https://huggingface.co/settings/tokens, and pull again with HF_TOKEN set to it",
        repository=source.repository,
        status=403,
    )
