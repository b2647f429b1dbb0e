"""The last look at a line of the log before it is written: credentials are blacked out, wherever in it they stand.

Two nets. What this process itself was given as a secret is known letter by letter; what others hold (tenants' keys,
callback tokens, signed URLs) is known by its form, or by the name it is written beside. A line without any of the words
that these begin with costs a few substring searches; any other is taken apart, so that what is left is JSON again.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from pydantic_core import from_json, to_json

REDACTED: Final = "[redacted]"

#: Shorter ones are ordinary words; a Redis password of four letters is still known by where it stands.
_SHORTEST: Final = 8
#: Texts that were looked at are remembered: route, event and tenant of one line are those of the next.
_WORD: Final = 64
_WORDS: Final = 4096
_NUMBERS: Final = frozenset({bool, int, float, type(None)})
#: What these hold is seldom seen again.
_EACH_ITS_OWN: Final = frozenset({"request_id", "fal_request_id", "generation_id", "trace_id"})
#: Without one of these, in lower case, no pattern below can match.
_HINTS: Final = (
    *("sgk_", "whs", "eyj", "://", "%", "?", "callbacks", "bearer", "basic", "key"),
    *("pass", "secret", "token", "credential", "signature", "authorization", "cookie"),
)
_KEY: Final = r"(?:api|access|private|secret|admin|auth|fal|account)[_-]?(?:admin[_-]?)?key"
_NAME: Final = rf"(?:passw(?:or)?d|passphrase|secret|token|credential|signature|authorization|cookie|{_KEY})"
_FIELD: Final = re.compile(rf"{_NAME}|^key$", re.IGNORECASE)
_QUOTE: Final = r"(?:\\*[\"'])"
_SLASH: Final = "(?:/|%(?:25)*2f)"
_NOT_YET: Final = rf"(?!{re.escape(REDACTED)}|b?{_QUOTE})"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


#: Each bounded in what it may look at twice, so that no text takes long. The first group is kept.
_PATTERNS: Final = (
    # API keys, whose id may be told; secrets of webhooks; JSON Web Tokens; private keys.
    _pattern(r"(sgk_(?:[0-9a-z]{1,40}_)?)[^\s\"'\\,;&)}\]>]+"),
    _pattern(r"(whsec_|whsk_)[\w+/=-]+"),
    _pattern(r"()\beyj[\w-]{8,}\.[\w-]+(?:\.[\w-]+)*"),
    _pattern(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[^-]+"),
    # The whole value of the header, its scheme included; then schemes that stand alone.
    _pattern(rf"(authorization{_QUOTE}?\s{{0,3}}[:=]\s{{0,3}}(?:b?{_QUOTE})?)[^\"'\\\r\n]+"),
    _pattern(rf"(authorization{_QUOTE}\s{{0,3}},\s{{0,3}}b?{_QUOTE})[^\"'\\\r\n]+"),
    _pattern(r"(\b(?:bearer|basic)(?:\s{1,3}|%20|\+))[^\s\"'\\,;]+"),
    _pattern(r"(\bkey(?:\s{1,3}|%20|\+))[\w.-]+(?::|%3a)[\w.-]+"),
    # The path of a callback, also as part of another URL's query.
    _pattern(rf"(callbacks{_SLASH}fal{_SLASH}\w+{_SLASH})(?!\{{)[^\s\"'\\/?#&%]+"),
    # Who logs in, and every query: a signed URL's signature is in it, and what else is there is nobody's business.
    _pattern(r"((?:://|%(?:25)*3a%(?:25)*2f%(?:25)*2f))[^\s/]{0,512}(?=@|%40)"),
    _pattern(r"(?<=[\w/.%-])((?:\?|%3f)[\w.~-]{1,100}(?:=|%3d))[^\s\"'<>\\]+"),
    # name=value, "name": "value", ('name', 'value').
    _pattern(
        rf"({_NAME}[\w-]{{0,30}}{_QUOTE}?\s{{0,3}}(?:[:=,]|=>)\s{{0,3}}b?{_QUOTE}){_NOT_YET}(?:[^\"'\\]|\\(?![\"'\\]))+"
    ),
    _pattern(rf"({_NAME}[\w-]{{0,30}}{_QUOTE}?\s{{0,3}}(?:[:=]|=>)\s{{0,3}}){_NOT_YET}[^\s\"'\\,;&)}}\]>]+"),
)
_UNREADABLE: Final = to_json({"event": "a line could not be looked through, and was not written", "level": "error"})


class Redactor:
    """``secrets`` are this process's own; give each as it stands in its setting."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        self._signs = _shortest(forms)
        self._signs_in_json = _shortest({_escaped(form) for form in forms})
        self._harmless: set[str] = set()
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def is_harmless(self, event: Mapping[str, Any]) -> bool:
        """Whether nothing in it wants a second look: most lines say the same few words about other ids.

        Only of names, texts and numbers; what else is in an event is looked at once it is JSON.
        """
        seen, unseen, words = self._harmless, [], []
        for name, value in event.items():
            if name not in seen:
                words.append(name)
            if type(value) in _NUMBERS:
                continue
            if not isinstance(value, str):
                return False
            if name in _EACH_ITS_OWN:
                unseen.append(value)
            elif value not in seen:
                words.append(value)
        unseen += words
        if _is_suspicious("\n".join(unseen), self._signs):  # all at once: each search costs more than what it reads
            return False
        if words:
            self._remember(words)
        return True

    def __call__(self, line: bytes) -> bytes:
        """The same line of JSON, in ASCII, without what nobody may read."""
        if not _is_suspicious(line.decode("ascii"), self._signs_in_json):
            return line
        try:
            return to_json(self._clean(from_json(line)), ensure_ascii=True)
        except ValueError:  # nested deeper than JSON is read
            return _UNREADABLE

    def _remember(self, words: list[str]) -> None:
        if len(self._harmless) >= _WORDS:
            self._harmless.clear()
        self._harmless.update(word for word in words if len(word) <= _WORD)

    def _clean(self, value: Any, name: str = "") -> Any:
        if name and _FIELD.search(name) and not isinstance(value, bool | int | float | None):
            return REDACTED
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self._clean(inner, key) for key, inner in value.items()}
            case list():
                return [self._clean(inner) for inner in value]
        return value

    def text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for pattern in _PATTERNS:
            text = pattern.sub(_blacked, text)
        return text


def _is_suspicious(text: str, signs: Iterable[str]) -> bool:
    low = text.lower()
    for hint in _HINTS:  # any() and its generator take twice as long, at every line
        if hint in low:
            return True
    for sign in signs:  # noqa: SIM110
        if sign in text:
            return True
    return False


def _shortest(forms: set[str]) -> tuple[str, ...]:
    """Who holds one of the others is found by that."""
    return tuple(form for form in forms if not any(other in form for other in forms - {form}))


def _blacked(match: re.Match[str]) -> str:
    return f"{match[1]}{REDACTED}"


def _forms(secret: str) -> set[str]:
    """As it stands, in a URL, in a ``repr``, in JSON."""
    return {secret, quote(secret, safe=""), repr(secret)[1:-1], to_json(secret).decode()[1:-1]}


def _escaped(text: str) -> str:
    return to_json(text, ensure_ascii=True).decode()[1:-1]
