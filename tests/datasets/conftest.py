"""Fixtures of the tests of data sets: a cache of their own, listings of folders, and a server on this machine."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == Path(__file__).parent:  # made-up sets have no recorded checksums
            item.add_marker(pytest.mark.filterwarnings("ignore:.*no checksum is recorded"))


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    for name in ("GRAPHSEQ_DATA", "GRAPHSEQ_OFFLINE", "GRAPHSEQ_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def no_checkout(monkeypatch, tmp_path):
    """Data that lie in this checkout's folder `datasets` are none of the tests' business; says where the code is."""
    here = importlib.import_module("graphseq.datasets.roots")
    file = here.__file__
    monkeypatch.setattr(here, "__file__", str(tmp_path / "no/checkout/roots.py"))
    return file


@pytest.fixture
def listing() -> Callable[[Path], dict]:
    """What is in a folder and when it was changed: equal before and after if nobody wrote there."""

    def look(folder):
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [folder, *folder.rglob("*")]}

    return look


@dataclass
class Page:
    """A file on the server and how the server behaves."""

    content: bytes
    etag: str | None = '"1"'
    ranges: bool = True  # whether parts are sent
    cut: list[int] = field(default_factory=list)  # after how many bytes the next answers end
    fail: list[int] = field(default_factory=list)  # statuses of the next answers
    delay: float = 0


@dataclass
class Site:
    """A server's pages by path, and the requests that came: path, and the headers Range and If-Range."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def lay(self, path: str, content: bytes | str, **options) -> Page:
        page = Page(content.encode() if isinstance(content, str) else content, **options)
        self.pages[path] = page
        return page


@pytest.fixture
def site(monkeypatch) -> Iterator[Site]:
    monkeypatch.setattr(importlib.import_module("graphseq.datasets.download"), "_PAUSE", 0.001)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.lstrip("/")
            asked = self.headers.get("Range")
            here.requests.append((path, asked, self.headers.get("If-Range")))
            page = here.pages.get(path)
            time.sleep(0 if page is None else page.delay)
            if page is None or page.fail:
                self.send_error(404 if page is None else page.fail.pop(0))
                return
            start = 0
            if asked and page.ranges and self.headers.get("If-Range") == page.etag:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(page.content):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(page.content) - 1}/{len(page.content)}")
            else:
                self.send_response(200)
            if page.etag is not None:
                self.send_header("ETag", page.etag)
            self.send_header("Content-Length", str(len(page.content) - start))
            self.end_headers()
            end = page.cut.pop(0) if page.cut else len(page.content)
            self.wfile.write(page.content[start:end])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield here
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_sockets(monkeypatch):
    """Whoever makes a socket fails."""

    def refuse(*args, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.__init__", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.fixture
def address(monkeypatch):
    """Point a loader to another server."""

    def change(module, url):
        monkeypatch.setattr(importlib.import_module(f"graphseq.datasets.{module}"), "_URL", url)

    return change
