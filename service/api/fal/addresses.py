"""Addresses below ``/fal``: the model and request that a URL names, and the URLs of responses."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from service.api.http.dependencies import runtime
from service.domain.generation import Generation
from service.domain.models.model import Model
from service.errors import Malformed, NotFound

PREFIX: Final = "/fal"
QUEUE: Final = f"{PREFIX}/queue"
RUN: Final = f"{PREFIX}/run"
REST: Final = f"{PREFIX}/rest"

ENDPOINT_PATH: Final = "/{endpoint:path}"
#: fal's own models have this owner, and some programs put it before the id of every model.
_NAMESPACE: Final = "fal-ai/"

#: fal's hosts that its JavaScript client names, and the gateway's prefix for each.
HOSTS: Final = {"queue.fal.run": QUEUE, "fal.run": RUN, "rest.fal.ai": REST, "rest.alpha.fal.ai": REST}
#: No percent signs: no valid target needs one, and they could hide a path from the check.
_PLAIN_PATH: Final = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+/?")
_QUERY: Final = re.compile(r"[\x21-\x7e]*")
_LONGEST_TARGET: Final = 8192


@dataclass(frozen=True, slots=True)
class Target:
    path: str
    query: str


@lru_cache(maxsize=64)
def head(model: str) -> str:
    """Return ``owner/app`` of ``owner/app/path``: fal's URLs of requests omit the path."""
    return "/".join(model.split("/")[:2])


def model_of(request: Request, endpoint: str) -> Model:
    """Return the model of a submit, with or without ``fal-ai/`` in front. Raises NotFound."""
    models = runtime(request).generations.models
    model = models.find(endpoint) if _is_served(endpoint, tuple(models.enabled)) else None
    if model is None:
        raise _other_model(*models.enabled)
    return model


def check_requests_of(request: Request, endpoint: str) -> None:
    """Check the model in the URL of a request, in its short or long form. Raises NotFound.

    The URL names no variant: those of a family share the first two segments.
    """
    models = tuple(runtime(request).generations.models.enabled)
    if not any(endpoint == head(model) or _names_model(endpoint, model) for model in models):
        raise _other_model(*models)


def _is_served(endpoint: str, models: tuple[str, ...]) -> bool:
    return any(_is_model(endpoint, model) for model in models)


def _is_model(endpoint: str, model: str) -> bool:
    return endpoint == model or endpoint.removeprefix(_NAMESPACE) == model.removeprefix(_NAMESPACE)


def _names_model(endpoint: str, model: str) -> bool:
    """Return whether this is the id, or its first two segments: clients make both from the id that they were given."""
    bare = model.removeprefix(_NAMESPACE)
    ids = (model, bare, _NAMESPACE + bare)
    return endpoint in ids or endpoint.removeprefix(_NAMESPACE) == head(bare) or endpoint in map(head, ids)


def _other_model(*models: str) -> NotFound:
    return NotFound(f"This gateway serves {', '.join(models)} and nothing else.")


def public_url(request: Request) -> str:
    """Return the configured URL, never the Host header: a response may be cached, logged, or read by others."""
    found = runtime(request).settings.public_url
    if found is None:
        raise NotFound("The fal surface is off: GATEWAY_PUBLIC_URL is not set.")
    return found


def request_url(request: Request, g: Generation) -> str:
    return f"{public_url(request)}{QUEUE}/{head(g.model)}/requests/{g.id}"


def target_of(url: str, *models: str) -> Target:
    """Return the gateway's route for a URL of fal.

    Raises:
        Malformed: not a URL of fal's queue, run or storage host, or not one that a client makes.
        NotFound: another model.

    """
    if len(url) > _LONGEST_TARGET:
        raise Malformed("x-fal-target-url is too long.")
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and not parts.fragment
    except ValueError:
        raise Malformed("x-fal-target-url is not a URL.") from None
    if not plain or (prefix := HOSTS.get(parts.netloc)) is None:  # credentials or a port make it another host
        raise Malformed("x-fal-target-url must be an https URL of fal's queue, run or storage host, and no other.")
    if not _PLAIN_PATH.fullmatch(parts.path) or not _QUERY.fullmatch(parts.query):
        raise Malformed("x-fal-target-url has a path or query that no fal client makes.")
    if prefix != REST and not any(_of_model(parts.path.strip("/"), model) for model in models):
        raise _other_model(*models)
    return Target(prefix + parts.path, parts.query)


def _of_model(path: str, model: str) -> bool:
    endpoint, found, _ = path.partition("/requests/")
    if found:
        return _names_model(endpoint, model)
    return _is_model(path, model) or _is_model(path.removesuffix("/stream"), model)
