"""HTTP on the loopback: what the local providers of the tests have in common."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class LoopbackServer:
    """`with` starts it on a free port and ends it. Its handlers find it as `self.server.owner`."""

    def __init__(self, handler: type[LoopbackHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.owner = self

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class LoopbackHandler(BaseHTTPRequestHandler):
    """One request. HTTP/1.0 closes the connection after each answer: no client keeps one that outlives its event loop."""

    server: Any

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        """Answer a POST."""
        raise NotImplementedError

    def received(self) -> str:
        """The body of the request."""
        return self.rfile.read(int(self.headers["Content-Length"])).decode()

    def send_json(self, document: Any, status: int = 200, **headers: str) -> None:
        """Answer with a document; `_` in the name of a header stands for `-`."""
        data = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content_Type": "application/json", "Content_Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def start_events(self) -> None:
        """Answer with a stream of events, which the caller writes."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
