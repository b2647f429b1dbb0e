"""A proxy before the sandbox that puts a film of its own into every result, and sends it as slowly as a test likes."""

import http.server
import json
import threading
from typing import Any, Final, Self

import httpx

BLOCK: Final = bytes(range(256)) * 4096
BLOCKS: Final = 24
FILM: Final = BLOCK * BLOCKS
#: Of the film's blocks, how many come before the first sender waits: S3's first parts are written by then.
_BEFORE_THE_WAIT: Final = 16
_PASSED_ON: Final = ("content-type", "x-fal-billable-units", "x-fal-request-id")


class FalInBetween:
    """``target``: the sandbox's URL, once it is known."""

    def __init__(self) -> None:
        self.target = ""
        self.begun = threading.Event()
        self.released = threading.Event()
        self.sent = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                if self.path.startswith("/files/"):
                    server.send_film(self)
                else:
                    server.pass_on(self)

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

    def pass_on(self, call: http.server.BaseHTTPRequestHandler) -> None:
        body = call.rfile.read(int(call.headers.get("content-length") or 0))
        headers = {name: call.headers[name] for name in ("authorization", "content-type") if name in call.headers}
        answer = httpx.request(call.command, self.target + call.path, content=body, headers=headers, trust_env=False)
        content = answer.content
        if "video" in (told := json.loads(content)):
            told["video"]["url"] = f"{self.url}/files/film.mp4"
            content = json.dumps(told).encode()
        call.send_response(answer.status_code)
        for name in _PASSED_ON:
            if name in answer.headers:
                call.send_header(name, answer.headers[name])
        call.send_header("content-length", str(len(content)))
        call.end_headers()
        call.wfile.write(content)

    def send_film(self, call: http.server.BaseHTTPRequestHandler) -> None:
        self.sent += 1
        call.send_response(200)
        call.send_header("content-type", "video/mp4")
        call.send_header("content-length", str(len(FILM)))
        call.end_headers()
        for number in range(BLOCKS):
            if number == _BEFORE_THE_WAIT:
                self.begun.set()
                self.released.wait(60)
            call.wfile.write(BLOCK)
