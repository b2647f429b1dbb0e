"""A proxy before the sandbox that puts its own video into every result, and pauses while it sends the video."""

import http.server
import json
import threading
from typing import Any, Final, Self

import httpx

BLOCK: Final = bytes(range(256)) * 4096
BLOCKS: Final = 24
VIDEO: Final = BLOCK * BLOCKS
#: Blocks that are sent before the pause. By then the first parts of an S3 upload are written.
_BLOCKS_BEFORE_PAUSE: Final = 16
_FORWARDED: Final = ("content-type", "x-fal-billable-units", "x-fal-request-id")


class FalProxy:
    """``target``: the URL of the sandbox, when it is known."""

    def __init__(self) -> None:
        self.target = ""
        self.begun = threading.Event()
        self.released = threading.Event()
        self.sent = 0
        """Requests for the video."""
        self.results = 0
        """Requests for a result, counted before they are forwarded."""
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                if self.path.startswith("/files/"):
                    server.send_video(self)
                else:
                    server.forward(self)

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815  (the base class's names)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def forward(self, call: http.server.BaseHTTPRequestHandler) -> None:
        self.results += call.command == "GET" and not call.path.partition("?")[0].endswith("/status")
        sent = call.rfile.read(int(call.headers.get("content-length") or 0))
        headers = {name: call.headers[name] for name in ("authorization", "content-type") if name in call.headers}
        answer = httpx.request(call.command, self.target + call.path, content=sent, headers=headers, trust_env=False)
        content = answer.content
        if "video" in (body := json.loads(content)):
            body["video"]["url"] = f"{self.url}/files/video.mp4"
            content = json.dumps(body).encode()
        call.send_response(answer.status_code)
        for name in _FORWARDED:
            if name in answer.headers:
                call.send_header(name, answer.headers[name])
        call.send_header("content-length", str(len(content)))
        call.end_headers()
        call.wfile.write(content)

    def send_video(self, call: http.server.BaseHTTPRequestHandler) -> None:
        self.sent += 1
        call.send_response(200)
        call.send_header("content-type", "video/mp4")
        call.send_header("content-length", str(len(VIDEO)))
        call.end_headers()
        for number in range(BLOCKS):
            if number == _BLOCKS_BEFORE_PAUSE:
                self.begun.set()
                self.released.wait(60)
            call.wfile.write(BLOCK)
