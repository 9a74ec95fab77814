"""A web server on this machine that serves files, with ranges, and fails on request.

Each GET takes the next fault from its file's list; without one it behaves. What was
asked is in `requests`. It also plays a package index (`/simple/NAME/`) and, because
any path can be served, Hugging Face.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Fault:
    """One misbehaviour. The default is none at all."""

    status: int = 0  # answer with this status and no file
    headers: Mapping[str, str] = field(default_factory=dict)  # added to the answer
    drop_after: int = -1  # close the connection after so many bytes of the body
    ignore_range: bool = False
    add_to_length: int = 0  # lie about Content-Length
    flip: bool = False  # send other bytes
    pause_s: float = 0.0  # between blocks
    wait_for: threading.Event | None = None  # before the body's second half


@dataclass
class ServedFile:
    content: bytes
    etag: str = '"v1"'
    headers: Mapping[str, str] = field(default_factory=dict)
    redirect_to: str = ""
    token: str = ""  # needed to get it
    faults: list[Fault] = field(default_factory=list)


@dataclass
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]


class FaultServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, ServedFile] = {}
        self.requests: list[Asked] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, path: str, method: str = "GET") -> list[Asked]:
        return [asked for asked in self.requests if (asked.path, asked.method) == (path, method)]

    def serve_wheel(self, package: str, wheel_name: str, content: bytes, *faults: Fault) -> ServedFile:
        """Put a wheel into the package index."""
        page = f'<!DOCTYPE html><html><body><a href="/wheels/{wheel_name}">{wheel_name}</a></body></html>'
        self.files[f"/simple/{package}/"] = ServedFile(page.encode(), headers={"Content-Type": "text/html"})
        served = self.files[f"/wheels/{wheel_name}"] = ServedFile(content, faults=list(faults))
        return served

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultServer

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.close_connection = True
        path = self.path.partition("?")[0]
        self.server.requests.append(Asked(self.command, path, dict(self.headers.items())))
        served = self.server.files.get(path)
        fault = served.faults.pop(0) if served and served.faults and body else Fault()
        if served is None:
            self._finish(404, {})
        elif fault.status:
            self._finish(fault.status, fault.headers)
        elif served.token and self.headers.get("Authorization") != f"Bearer {served.token}":
            self._finish(401, served.headers)
        elif served.redirect_to:
            self._finish(302, {"Location": served.redirect_to, **served.headers})
        else:
            self._send_file(served, fault, body)

    def _finish(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_file(self, served: ServedFile, fault: Fault, body: bool) -> None:
        first = 0 if fault.ignore_range else self._first_byte(served)
        if first and first >= len(served.content):
            self._finish(416, {"Content-Range": f"bytes */{len(served.content)}"})
            return
        rest = served.content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(rest) + fault.add_to_length))
        self.send_header("ETag", served.etag)
        self.send_header("Connection", "close")
        if first:
            self.send_header(
                "Content-Range", f"bytes {first}-{len(served.content) - 1}/{len(served.content)}"
            )
        for name, value in {**served.headers, **fault.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self._send_body(bytes(byte ^ 255 for byte in rest) if fault.flip else rest, fault)

    def _first_byte(self, served: ServedFile) -> int:
        asked = self.headers.get("Range", "")
        if not asked or self.headers.get("If-Range", served.etag) != served.etag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send_body(self, rest: bytes, fault: Fault) -> None:
        if fault.drop_after >= 0:
            rest = rest[: fault.drop_after]
        block_bytes = 4096 if fault.pause_s else max(1, len(rest) // 2 + 1)
        with contextlib.suppress(OSError):
            for start in range(0, len(rest), block_bytes):
                if start and fault.wait_for:
                    fault.wait_for.wait(30)
                self.wfile.write(rest[start : start + block_bytes])
                time.sleep(fault.pause_s)
            if fault.drop_after >= 0:
                self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    server = FaultServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
