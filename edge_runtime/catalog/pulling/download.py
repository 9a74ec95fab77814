"""One file over HTTP, with resume: a dropped connection costs what was in flight, nothing more."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import sleep
from typing import IO
from urllib.parse import urlsplit

from ...errors import EdgeRuntimeError, ModelDownloadFailed, NetworkNotAllowed
from ...values.files import BLOCK_BYTES
from ...values.progress import Advance, Progress
from ...values.version import __version__
from .header_watch import HeaderWatch
from .partial_file import PartialFile

_TIMEOUT_S = 30.0  # without a single byte
_PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # between tries that brought nothing; any byte starts the list again
_LONGEST_PAUSE_S = 60.0  # however long the server asks us to wait
_RETRIED_STATUS = {408, 425, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d+)-\d+/(?P<total>\d+|\*)")


@dataclass(frozen=True)
class Remote:
    url: str
    label: str  # for people
    size_bytes: int = 0  # 0: not known
    headers: Mapping[str, str] = field(default_factory=dict)  # not sent on to another host


class _TransientError(Exception):
    """This attempt ended early; the next one may not."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def require_network(what: str) -> None:
    """Raise NetworkNotAllowed when the user keeps this machine offline."""
    for name in ("EDGE_RUNTIME_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(name, "").strip().lower() not in {"", "0", "false", "no", "off"}:
            raise NetworkNotAllowed(
                f"{what} would need the network, and {name} is set",
                hint=f"unset {name}, or import the file: edge-runtime models import PATH",
                variable=name,
            )


def download(
    remote: Remote, partial: PartialFile, progress: Progress, *, first_tries: int | None = None
) -> None:
    """Fetch what `partial` still lacks. The caller checks the hash.

    A GGUF file whose header shows that it could not be loaded is not fetched further.

    Goes on after dropped connections, and gives up after five tries in a row
    that brought nothing; after `first_tries` when nothing came at all, for a caller
    that has another source.

    Raises ModelDownloadFailed, with `status` in its facts when the server sent
    one, or NetworkNotAllowed: what has arrived stays in `partial`. Raises ModelFileInvalid or
    ModelUnsupported for a wrong header: nothing stays.
    """
    require_network(remote.label)
    if remote.size_bytes and partial.size_bytes > remote.size_bytes:
        partial.keep_only(0)
    watch = HeaderWatch(partial, remote.label)
    watch.look(remote.size_bytes)  # at what an earlier run has left
    failures, most = 0, first_tries or len(_PAUSES_S) + 1
    with progress.bar(remote.label, remote.size_bytes, partial.size_bytes) as advance:
        while not (remote.size_bytes and partial.size_bytes == remote.size_bytes):
            size_before = partial.size_bytes
            try:
                _fetch_rest(remote, partial, advance, watch)
                return
            except _TransientError as problem:
                failures += 1
                if partial.size_bytes > size_before:
                    failures, most = 0, len(_PAUSES_S) + 1
                if failures >= most:
                    raise _gave_up(remote, partial, str(problem), failures) from problem
                pause_s = max(problem.pause_s, _PAUSES_S[max(failures - 1, 0)])
                progress.say(f"{remote.label}: {problem}; going on in {pause_s:.0f} s")
                sleep(pause_s)


def _fetch_rest(remote: Remote, partial: PartialFile, advance: Advance, watch: HeaderWatch) -> None:
    """One request and its body. Raises _TransientError when the body ends early."""
    try:
        with _open(remote, partial) as response:
            total_bytes = _agree_on_start(remote, partial, response, advance)
            _copy_body(response, partial, total_bytes, advance, watch)
    except EdgeRuntimeError:  # StorageFull is an OSError too
        raise
    except urllib.error.HTTPError as error:
        with error:
            _meet_status(remote, partial, error, advance)
    except urllib.error.URLError as error:
        raise _unreachable(remote, error.reason) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(remote, error) from error


def _open(remote: Remote, partial: PartialFile) -> http.client.HTTPResponse:
    if urlsplit(remote.url).scheme not in {"http", "https"}:
        raise ModelDownloadFailed(
            f"{remote.label}: {remote.url[:200]} is no web address", hint="check the manifest", url=remote.url
        )
    request = urllib.request.Request(remote.url)
    request.add_header("User-Agent", f"edge-runtime/{__version__}")
    request.add_header("Accept-Encoding", "identity")  # or the length would be that of something else
    for name, value in remote.headers.items():
        request.add_unredirected_header(name, value)  # a token is for the host that issued it
    if partial.size_bytes:
        request.add_header("Range", f"bytes={partial.size_bytes}-")
        if partial.etag:
            request.add_header("If-Range", partial.etag)
    response = urllib.request.build_opener(_CarefulRedirects).open(request, timeout=_TIMEOUT_S)
    assert isinstance(response, http.client.HTTPResponse)
    return response


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something that anyone can listen to."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise ModelDownloadFailed(
                f"{urlsplit(req.full_url).hostname} redirects to an unencrypted address",
                hint="try another source",
                url=newurl[:200],
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _agree_on_start(
    remote: Remote, partial: PartialFile, response: http.client.HTTPResponse, advance: Advance
) -> int:
    """Make `partial` end where the body begins. Returns the file's size, 0 when unknown."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if response.status == 206 and found and int(found["first"]) == partial.size_bytes:
        total_bytes = 0 if found["total"] == "*" else int(found["total"])
    else:
        # The whole file: the server knows no ranges, or has another version by now (If-Range).
        if response.status == 206:
            raise ModelDownloadFailed(
                f"{remote.label}: the server sent another part than asked for", hint=_LATER
            )
        _start_again(partial, advance)
        length = response.headers.get("Content-Length", "")
        total_bytes = int(length) if length.isdigit() else 0
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):  # a weak one, W/"...", does not promise the same bytes
        partial.etag = etag
    if remote.size_bytes and total_bytes and total_bytes != remote.size_bytes:
        raise ModelDownloadFailed(
            f"{remote.label}: the server offers {total_bytes} bytes, expected {remote.size_bytes}",
            hint="the source has changed; try another one, or import the file",
            expected=remote.size_bytes,
            found=total_bytes,
        )
    return remote.size_bytes or total_bytes


def _start_again(partial: PartialFile, advance: Advance) -> None:
    advance(-partial.size_bytes)
    partial.keep_only(0)


def _copy_body(
    response: http.client.HTTPResponse,
    partial: PartialFile,
    total_bytes: int,
    advance: Advance,
    watch: HeaderWatch,
) -> None:
    while block := response.read1(BLOCK_BYTES):  # read1: what is there, so that little is lost in a break
        if total_bytes and partial.size_bytes + len(block) > total_bytes:
            block = block[: total_bytes - partial.size_bytes]  # the hash decides about the rest
        partial.write(block)
        advance(len(block))
        watch.look(total_bytes)
        if partial.size_bytes == total_bytes:
            return
    if total_bytes and partial.size_bytes < total_bytes:
        raise _TransientError("the connection ended early")


def _meet_status(
    remote: Remote, partial: PartialFile, error: urllib.error.HTTPError, advance: Advance
) -> None:
    if (
        error.code == 416 and partial.size_bytes
    ):  # nothing left after our part: another version, or all is here
        total = error.headers.get("Content-Range", "").strip().removeprefix("bytes */")
        if total == str(partial.size_bytes) and not remote.size_bytes:
            return
        _start_again(partial, advance)
        raise _TransientError("the server has another version of the file")
    if error.code in _RETRIED_STATUS:
        asked = error.headers.get("Retry-After", "")
        pause_s = min(float(asked), _LONGEST_PAUSE_S) if asked.isdigit() else 0.0
        raise _TransientError(f"the server answers {error.code} {error.reason}", pause_s)
    raise ModelDownloadFailed(
        f"{remote.label}: the server answers {error.code} {error.reason}",
        hint="the file may have moved: try another source, or import the file",
        status=error.code,
        url=_without_query(remote.url),
    ) from error


def _unreachable(remote: Remote, reason: object) -> Exception:
    """The exception for a connection that failed: worth another try, unless the certificate is wrong."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return ModelDownloadFailed(
            f"{remote.label}: the certificate of {urlsplit(remote.url).hostname} is not trusted: "
            f"{reason.verify_message}",
            hint="set SSL_CERT_FILE to your network's certificates, or import the file",
            certificate=reason.verify_message,
        )
    text = "no answer in time" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__
    return _TransientError(f"the connection failed ({text})")


_LATER = "what has arrived is kept: pull again later and it goes on from there"


def _gave_up(remote: Remote, partial: PartialFile, reason: str, tries: int) -> ModelDownloadFailed:
    return ModelDownloadFailed(
        f"{remote.label}: {reason}, {tries} times in a row",
        hint=_LATER if partial.size_bytes else "check the connection, or import the file from another device",
        url=_without_query(remote.url),
        received_bytes=partial.size_bytes,
    )


def _without_query(url: str) -> str:
    """Without what could be a signature or a token."""
    return urlsplit(url)._replace(query="", fragment="").geturl()
