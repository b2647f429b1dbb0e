"""Redaction of secrets in rendered log lines.

Covers the secrets of this process, known character by character from its settings, and secrets of others with a fixed
shape: API keys, access tickets, webhook secrets, tokens of callback paths, and the logins and queries of URLs. Client
libraries print URLs in their exceptions, and a signed URL is a credential. Secret fields of this gateway's records have
no shape and are known by their names. A line without the fixed part of any of these costs a few substring searches. Any
other line is parsed, so that the redacted line is valid JSON.
"""

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from pydantic_core import from_json, to_json

REDACTED: Final = "[redacted]"

#: Shorter secrets are ordinary words, whose redaction would make lines useless.
_SHORTEST: Final = 8
_FIELDS: Final = ("callback_token", "pseudonym_key", "webhook_secret")
#: A line without one of these and without a secret of this process needs no redaction.
_MARKS: Final = ("sgk_", "sgt_", "eyJ", "whsec_", "whsk_", "callbacks", "://", "?", *_FIELDS)
_SLASH: Final = "(?:/|%(?:25)*2[fF])"
#: Group 1 stays. Each pattern is bounded in what it reads twice, so that its time is linear in the text.
_PATTERNS: Final = tuple(
    map(
        re.compile,
        (
            r"(sgk_(?:[0-9a-z]{1,40}_)?)[^\s\"'\\,;&)}\]>]+",  # an API key; its id is not secret
            r"(sgt_)[\w=-]+",  # an access ticket
            r"(eyJ)[\w=.-]{16,}",  # a token (JWT), or its header or payload
            r"(whsec_|whsk_)[\w+/=-]+",  # a signing secret of webhooks
            rf"(callbacks{_SLASH}fal{_SLASH}\w+{_SLASH})(?!\{{)[^\s\"'\\/?#&%]+",  # also inside the query of a URL
            r"(://)[^\s/]{1,512}(?=@)",  # a login
            r"(?<=[\w/.%-])(\?[\w.~-]{1,100}=)[^\s\"'<>\\]+",  # a query: the signature of a signed URL
        ),
    )
)
_UNREADABLE: Final = to_json({"event": "log_line_not_redactable", "level": "error"})


class Redactor:
    """Redacts log lines. ``secrets`` are those of this process, as they are in its settings."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = sorted({form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}, key=len)
        self._marks = (*_MARKS, *(to_json(form, ensure_ascii=True).decode()[1:-1] for form in forms))
        longest_first = "|".join(map(re.escape, reversed(forms)))
        self._known = re.compile(longest_first) if forms else None

    def __call__(self, line: bytes) -> bytes:
        """Return the line, one JSON object in ASCII, without secrets."""
        text = line.decode("ascii")
        for mark in self._marks:  # any() and its generator take twice as long
            if mark in text:
                break
        else:
            return line
        try:
            return to_json(self._redacted(from_json(line)), ensure_ascii=True)
        except ValueError:  # nested deeper than the parser reads
            return _UNREADABLE

    def text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\1{REDACTED}", text)
        return text

    def _redacted(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): REDACTED if key in _FIELDS else self._redacted(value[key]) for key in value}
            case list():
                return [self._redacted(inner) for inner in value]
        return value


def _forms(secret: str) -> set[str]:
    """Return the secret as it is, in a URL, in a ``repr`` and in JSON."""
    return {secret, quote(secret, safe=""), repr(secret)[1:-1], to_json(secret).decode()[1:-1]}
