"""Calls to the gateway while a link fails: how long each took, and how the gateway answered."""

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final, Self

import httpx

#: Longer than every documented time limit: a call that reaches it hangs.
HANGS: Final = 60.0
_PAUSE: Final = 0.2


@dataclass
class Probe:
    """Reads and checks of readiness in threads, one call after the other. Use with ``with``."""

    base_url: str
    key: str
    generation_id: str
    longest: dict[str, float] = field(default_factory=dict)
    """Seconds of the longest call, by path."""
    answers: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Statuses, or the names of errors, by path."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for path in ("/readyz", "/healthz", f"/v1/generations/{self.generation_id}", "/v1/generations?limit=5"):
            self._threads.append(threading.Thread(target=self._call_repeatedly, args=(path,), daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _call_repeatedly(self, path: str) -> None:
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.base_url, headers=headers, timeout=HANGS, trust_env=False) as client:
            name = path.partition("?")[0]
            while not self._stopped.wait(_PAUSE):
                began = time.monotonic()
                try:
                    outcome = str(client.get(path).status_code)
                except httpx.TransportError as error:
                    outcome = type(error).__name__
                self.answers[name][outcome] += 1
                self.longest[name] = max(self.longest.get(name, 0.0), time.monotonic() - began)
