"""Texts with markup in everything that a tenant, a receiver, fal, an issuer of tokens or an operator controls.

Each text names its source. ``faults`` finds a text that left its context in a page; ``shown`` finds which are in it.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import quote

import httpx

from service.console.routes import SessionRoute
from service.domain.failure import Failure
from service.domain.generation import LogLine, Output, Video
from service.domain.operator import Role
from service.runtime import Runtime
from tests.support.console import PARAMETER
from tests.support.factories import create_body
from tests.support.receiver import Receiver
from tests.support.tokens import claims_of_service, rule, signed

#: Part of each text, of the element and of the attributes that the text would add to a page.
MARK: Final = "zq7"
#: A formula for spreadsheets, and a URL that is a script: each counts at the beginning of a text only.
STARTS: Final = ("=cmd|", "javascript:zq7()//")
_SOURCE: Final = re.compile(rf"{MARK}\.([a-z-]+)\.")
#: Attributes that browsers open, load or run.
_URLS: Final = frozenset({"href", "src", "action", "formaction", "poster", "data", "srcset", "srcdoc", "xlink:href"})
_OWN_URL: Final = re.compile(r"(?:/console|#|\?|$)")

#: Further values of a parameter of paths.
_VARIANTS: Final[dict[str, tuple[dict[str, str], ...]]] = {
    "generation_id": ({}, {"generation_id": "second_id"}, {"generation_id": "unconfirmed_id"}),
    "tenant_id": ({}, {"tenant_id": "suspended_id"}),
}

Connect = Callable[[str], AbstractAsyncContextManager[httpx.AsyncClient]]
"""``connect(token)``: a client of the gateway."""


def hostile(source: str, start: str = STARTS[0], *, longest: int = 1_000) -> str:
    """Return a text that breaks out of elements, attributes, scripts and templates where it is not escaped."""
    text = f"{start}{MARK}.{source}.\"'`><{MARK} on{MARK}=1></title></script><script>{MARK}()</script>{{{{7*7}}}}"
    return text[:longest]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.text: list[str] = []
        self._element = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._element = tag
        if MARK in tag:
            self.found.append(f"element {tag}")
        for name, value in attrs:
            self.text.append(value or "")
            if MARK in name or name.startswith("on") or name in ("style", "srcdoc"):
                self.found.append(f"attribute {name} of {tag}")
            if name in _URLS and not _OWN_URL.match(value or ""):
                self.found.append(f"{name} of {tag} is {value}")
            if name == "http-equiv" and value == "refresh":
                self.found.append("a redirect")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._element in ("script", "style") and data.strip():
            self.found.append(f"inline {self._element}")
        if f"{MARK}49" in data or "<script>49" in data or "</script>49" in data:
            self.found.append("a template within a template")

    def handle_endtag(self, tag: str) -> None:
        self._element = ""

    def handle_comment(self, data: str) -> None:
        self.found.append(f"comment {data}")


def _parsed(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    page.close()
    return page


def faults(html: str) -> list[str]:
    """Return what a text has added to a page besides text."""
    return _parsed(html).found


def shown(text: str) -> set[str]:
    """Return the sources of the texts that a page shows. ``text``: HTML, CSV or JSON."""
    return set(_SOURCE.findall("\n".join(_parsed(text).text)))


class World:
    """Makes one of each thing that has texts. ``paths`` has a value for each parameter of the console's paths."""

    def __init__(self, runtime: Runtime, connect: Connect, *, start: str = STARTS[0]) -> None:
        self._runtime = runtime
        self._connect = connect
        self.start = start
        self.api_key = self.jwt = ""
        self.paths: dict[str, str] = {}

    async def build(self, admin_token: str, deliver: Callable[[], Awaitable[Any]]) -> None:
        """Make everything. ``deliver``: make the due deliveries."""
        async with self._connect(admin_token) as admin:
            ada = await self._post(admin, "/admin/v1/operators", name=self._text("operator-name", 100), role="admin")
            token = await self._post(
                admin, f"/admin/v1/operators/{ada['id']}/tokens", name=self._text("operator-token-name", 100)
            )
        async with self._connect(token["token"]) as operator:
            await self._post(operator, "/admin/v1/pause", reason=self._text("pause-reason"))
            tenant = await self._tenant(operator)
            async with self._connect(self.api_key) as api:
                await self._generations(api)
                await self._webhooks(api, deliver)
            await self._service(operator, tenant)
            await self._acts(operator, tenant)

    def pages(self, routes: Iterable[SessionRoute], *, for_operators: bool) -> Iterator[str]:
        """Yield the paths of all pages of an area, for each thing that was made."""
        for route in routes:
            if route.method != "GET" or isinstance(route.needs, Role) != for_operators:
                continue
            for changes in _VARIANTS.get(next(iter(PARAMETER.findall(route.path)), ""), ({},)):
                values = {**self.paths, **{name: self.paths[other] for name, other in changes.items()}}
                path = PARAMETER.sub(lambda found: values.get(found[1], "pause"), route.path)  # noqa: B023
                yield path
                if path.endswith(("/end-user", "/erase", "/erasure")):
                    yield f"{path}?id={self.paths['end_user_id']}"

    async def _tenant(self, operator: httpx.AsyncClient) -> str:
        tenant = await self._post(operator, "/admin/v1/tenants", name=self._text("tenant-name", 100))
        key = await self._post(operator, f"/admin/v1/tenants/{tenant['id']}/keys", name=self._text("key-name", 100))
        self.api_key, self.paths["tenant_id"], self.paths["key_id"] = key["key"], tenant["id"], key["id"]
        return str(tenant["id"])

    async def _generations(self, api: httpx.AsyncClient) -> None:
        """Make a generation of each end: what fal sends goes into the record as the poller puts it there."""
        now = self._runtime.clock()
        first = await self._generation(api, "prompt")
        await self._move(first, lambda g: g.submitting(now), lambda g: g.submitted(self._text("fal-request-id")))
        line = LogLine(self._text("fal-log"), self._text("fal-log-level"), self._text("fal-log-time"))
        await self._move(first, lambda g: g.started(now), lambda g: g.polled(position=None, logs=(line,)))
        failure = Failure("upstream_rejected", self._text("fal-error"), detail={"msg": self._text("fal-error-detail")})
        await self._move(first, lambda g: g.failed(failure, 0, now))

        second = await self._generation(api, "prompt-of-video")
        video = Video(
            f"https://v3b.fal.media/{self._text('video-url')}", self._text("video-type"), self._text("video-name"), 1
        )
        await self._move(second, lambda g: g.submitting(now), lambda g: g.submitted("request-2"))
        await self._move(second, lambda g: g.succeeded(Output(video, seed=7), 1_000, now))
        third = await self._generation(api, "prompt-of-unconfirmed")
        await self._move(third, lambda g: g.submitting(now), lambda g: g.unconfirmed())
        self.paths |= {"generation_id": first, "second_id": second, "unconfirmed_id": third}

    async def _generation(self, api: httpx.AsyncClient, prompt: str) -> str:
        answer = await api.post(
            "/v1/generations",
            json=create_body(
                prompt=self._text(prompt),
                image_url="https://v3b.fal.media/a.jpg",
                end_user_id=self._text("end-user-id", 128),
                metadata={self._text("metadata-key", 40): self._text("metadata-value")},
                webhook_url=...,
            ),
            headers={"idempotency-key": f"{prompt}{self._text('idempotency-key')}", "user-agent": self._text("agent")},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def _move(self, generation_id: str, *verbs: Callable[[Any], Any]) -> None:
        for verb in verbs:
            assert await self._runtime.transitions.apply(generation_id, verb) is not None

    async def _webhooks(self, api: httpx.AsyncClient, deliver: Callable[[], Awaitable[Any]]) -> None:
        """Let a receiver refuse a test event of an endpoint, and block the end user."""
        with Receiver(otherwise=500, body=self._text("receiver-answer").encode()) as receiver:
            url = f"{receiver.base_url}/{MARK}.endpoint-url.'<{MARK}>?{self._text('endpoint-query').replace(' ', '+')}"
            hook = await self._post(
                api, "/v1/webhook-endpoints", url=url, description=self._text("endpoint-description", 500)
            )
            delivery = await self._post(api, f"/v1/webhook-endpoints/{hook['id']}/test")
            await deliver()
            receiver.wait_for(bool)
        self.paths |= {"endpoint_id": hook["id"], "delivery_id": delivery["id"]}
        end_user = quote(self._text("end-user-id", 128), safe="")
        await self._post(api, f"/v1/end-users/{end_user}/block", reason=self._text("block-reason"))
        self.paths["end_user_id"] = end_user

    async def _service(self, operator: httpx.AsyncClient, tenant: str) -> None:
        """Let a service act, with a token whose claims are texts of its issuer."""
        subject, issuer, audience = (self._text(f"jwt-{each}", 200) for each in ("sub", "iss", "aud"))
        trusted = rule(
            name=self._text("issuer-name", 100),
            issuer=issuer,
            audience=audience,
            scopes=["read", "manage"],
            subject=subject,
            claims={self._text("jwt-claim", 60): self._text("jwt-claim-value", 200)},
        )
        made = await self._post(operator, f"/admin/v1/tenants/{tenant}/issuers", **trusted)
        self.paths["issuer_id"] = made["id"]
        claims = claims_of_service(self._runtime.clock(), sub=subject, iss=issuer, aud=[audience])
        self.jwt = signed({**claims, self._text("jwt-claim", 60): self._text("jwt-claim-value", 200)})
        async with self._connect(self.jwt) as service:
            await self._post(service, f"/v1/webhook-endpoints/{self.paths['endpoint_id']}/test")

    async def _acts(self, operator: httpx.AsyncClient, tenant: str) -> None:
        """Act with reasons. The tenant stays paused, and another one suspended."""
        await self._post(operator, f"/admin/v1/tenants/{tenant}/pause", reason=self._text("tenant-pause-reason"))
        other = await self._post(operator, "/admin/v1/tenants", name="suspended")
        suspend = f"/admin/v1/tenants/{other['id']}/suspend"
        await self._post(operator, suspend, reason=self._text("suspension-reason"))
        self.paths["suspended_id"] = other["id"]
        await self._post(
            operator,
            "/admin/v1/adjustments",
            generation_id=self.paths["second_id"],
            amount_usd="0.01",
            expected_usd="0.001",
            operator=self._text("adjuster", 100),
            reason=self._text("adjustment-reason"),
        )
        wanted = {"kind": "cancel", "filter": {"ids": [self.paths["unconfirmed_id"]]}}
        preview = await self._post(operator, "/admin/v1/bulk/preview", **wanted)
        job = await self._post(
            operator,
            "/admin/v1/bulk",
            **wanted,
            previewed_at=preview["previewed_at"],
            expected=preview["matched"],
            reason=self._text("bulk-reason"),
        )
        self.paths["bulk_job_id"] = job["id"]

    def _text(self, source: str, longest: int = 1_000) -> str:
        return hostile(source, self.start, longest=longest)

    async def _post(self, client: httpx.AsyncClient, path: str, **body: Any) -> Any:
        answer = await client.post(path, json=body)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None
