"""A bound on what comes before a body and after it; the bodies themselves are ``middleware.BodyLimit``'s."""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Four times what fal takes. A single read of the network may bring more, and is taken if it ends the head.
LARGEST_HEAD: Final = 64 * 1024


class BoundedHeads(HttpToolsProtocol):
    """The server's own protocol collects a URL, headers and trailers for as long as they come, whoever sends them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._collected = 0

    def data_received(self, data: bytes) -> None:
        self._collected += len(data)
        super().data_received(data)
        if self._collected > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse()

    def on_headers_complete(self) -> None:
        self._collected = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._collected = 0
        super().on_body(body)

    def _refuse(self) -> None:
        if getattr(self.cycle, "response_complete", True):  # None before the first call
            self.send_400_response(f"The head of the request is larger than {LARGEST_HEAD} bytes.")
        else:
            self.transport.close()  # an answer is under way: another would be taken for a part of it
