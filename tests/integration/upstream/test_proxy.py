"""Connections to fal and to the video store through an HTTP proxy, with the faults of a proxy."""

import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from pydantic import ValidationError

from sandbox.certificate import write_certificate
from service.domain.outcomes import Accepted, NotSubmitted, Unknown
from service.domain.status import Status
from service.domain.work_queue import WorkQueue
from service.errors import UpstreamUnavailable
from service.media.videos import VideoMissing, VideoStore, VideoStoreUnavailable
from service.net.image_probe import ProbeResult
from service.observability.redaction import Redactor
from service.runtime import open_runtime
from service.runtime.connections import open_connections
from service.upstream.billing import FalBilling
from service.upstream.callback_verification import Verifier
from service.upstream.client import FalClient
from service.upstream.files import FalFiles, FileUnavailable
from service.upstream.hosts import FalHosts
from service.upstream.http_result import HttpResponse, NoHttpResponse
from service.upstream.messages import submit_outcome
from service.upstream.storage import FalStorage
from service.webhooks.sender import ReceiverResponse
from tests.support import factories
from tests.support.factories import NOW, Clock
from tests.support.http_proxy import Fault, HttpProxy, http_proxy
from tests.support.scripted_fal import ScriptedFal, scripted_fal
from tests.support.waiting import process_due

MODEL: Final = "bytedance/seedance-2.0/image-to-video"
LOGIN: Final = "gateway:p%40ss-word-of-the-proxy"
PLAIN_LOGIN: Final = "gateway:p@ss-word-of-the-proxy"
#: Enough for a handshake on a busy machine, where the proxy does not hang.
PATIENT, SHORT = 60.0, 2.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def fal(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedFal]:
    """Return fal with TLS and a certificate that the clients trust."""
    trusting = ssl.create_default_context(cafile=certificate[0])
    monkeypatch.setattr("httpx._transports.default.create_ssl_context", lambda **_: trusting)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    async with scripted_fal(tls) as opened:
        yield opened


@pytest.fixture
async def proxy() -> AsyncIterator[HttpProxy]:
    async with http_proxy() as opened:
        yield opened


def with_login(proxy: HttpProxy) -> str:
    return proxy.url.replace("://", f"://{LOGIN}@")


def client(fal: ScriptedFal, proxy: HttpProxy, *, timeout: float = PATIENT) -> FalClient:
    return FalClient(queue_url=fal.url, key="k", model=MODEL, timeout=timeout, proxy=with_login(proxy))


async def test_calls_pass_through_proxy_with_login(fal: ScriptedFal, proxy: HttpProxy) -> None:
    async with client(fal, proxy) as opened:
        assert submit_outcome(await opened.submit({"prompt": "a"})) == Accepted("request-1")
        answers = [await opened.status("r"), await opened.result("r"), await opened.cancel("r")]

    assert [answer.status for answer in answers if isinstance(answer, HttpResponse)] == [202, 400, 202]
    assert set(proxy.targets) == {urlsplit(fal.url).netloc}
    assert len(proxy.targets) == 2, "a tunnel for the submit, and one that the other calls share"
    assert set(proxy.logins) == {f"Basic {base64.b64encode(PLAIN_LOGIN.encode()).decode()}"}


async def test_each_submit_has_a_tunnel_of_its_own(fal: ScriptedFal, proxy: HttpProxy) -> None:
    async with client(fal, proxy) as opened:
        for number in range(1, 4):
            assert submit_outcome(await opened.submit({})) == Accepted(f"request-{number}")

    assert len(proxy.targets) == 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refuses", "ProxyError"),
        ("demands a login", "ProxyError"),
        ("cannot reach", "ProxyError"),
        ("hangs", "ProxyTimeoutError"),
        ("closes", "ProxyRemoteProtocolError"),
        ("opens no tunnel", "ConnectError"),
        ("talks nonsense", "ConnectError"),
    ],
)
async def test_submit_without_tunnel_is_not_sent(fal: ScriptedFal, proxy: HttpProxy, fault: Fault, reason: str) -> None:
    """fal receives nothing, so the generation may be submitted again."""
    proxy.fault = fault
    async with client(fal, proxy, timeout=SHORT if fault == "hangs" else PATIENT) as opened:
        wire = await opened.submit({"prompt": "a"})
        assert isinstance(submit_outcome(wire), NotSubmitted)
        assert wire == NoHttpResponse(sent=False, reason=reason)
        assert fal.calls == []
        proxy.fault = ""

    async with client(fal, proxy) as opened:
        assert submit_outcome(await opened.submit({"prompt": "a"})) == Accepted("request-1")


@pytest.mark.parametrize("fault", ["loses the response", "withholds the response"])
async def test_submit_in_broken_tunnel_is_unknown(fal: ScriptedFal, proxy: HttpProxy, fault: Fault) -> None:
    """fal has the request: a second submit could be paid twice."""
    proxy.fault = fault
    async with client(fal, proxy, timeout=SHORT if fault == "withholds the response" else PATIENT) as opened:
        wire = await opened.submit({"prompt": "a"})

    assert isinstance(submit_outcome(wire), Unknown)
    assert fal.submits == 1


async def test_submit_to_absent_proxy_is_not_sent(fal: ScriptedFal, proxy: HttpProxy) -> None:
    proxy.url = "http://127.0.0.1:9"
    async with client(fal, proxy) as opened:
        assert isinstance(submit_outcome(await opened.submit({})), NotSubmitted)


@pytest.mark.parametrize("fault", ["refuses", "closes", "opens no tunnel"])
async def test_reads_without_tunnel_have_no_response(fal: ScriptedFal, proxy: HttpProxy, fault: Fault) -> None:
    proxy.fault = fault
    async with client(fal, proxy) as opened:
        answers = [await opened.status("r"), await opened.result("r"), await opened.cancel("r")]

    assert all(isinstance(answer, NoHttpResponse) for answer in answers)
    assert fal.calls == []


def _verify(url: str, proxy: str) -> Awaitable[Any]:
    async def run() -> None:
        async with Verifier(rest_url=url, proxy=proxy) as verifier:
            headers = {f"x-fal-webhook-{name}": "x" for name in ("request-id", "user-id")}
            signed = {"x-fal-webhook-timestamp": f"{NOW.timestamp():.0f}", "x-fal-webhook-signature": "0" * 128}
            assert await verifier.verify({**headers, **signed}, b"{}", NOW) == "keys_unavailable"

    return run()


def _bill(url: str, proxy: str) -> Awaitable[Any]:
    async def run() -> None:
        async with FalBilling(api_url=url, key="k", timeout=PATIENT, proxy=proxy) as billing:
            with pytest.raises(UpstreamUnavailable):
                await billing.events(MODEL, start=NOW, end=NOW + timedelta(hours=1))

    return run()


def _upload(url: str, proxy: str) -> Awaitable[Any]:
    async def run() -> None:
        async with FalStorage(FalHosts((), (url,)), rest_url=url, key="k", timeout=PATIENT, proxy=proxy) as storage:
            with pytest.raises(UpstreamUnavailable):
                await storage.create_target(content_type="image/png", file_name="a.png")

    return run()


def _download(url: str, proxy: str) -> Awaitable[Any]:
    async def run() -> None:
        async with FalFiles(FalHosts((), (url,)), proxy=proxy) as files:
            with pytest.raises(FileUnavailable):
                async with files.opened(f"{url}/video.mp4"):
                    pass

    return run()


@pytest.mark.parametrize("call", [_verify, _bill, _upload, _download])
async def test_other_clients_of_fal_use_the_proxy(
    fal: ScriptedFal, proxy: HttpProxy, call: Callable[[str, str], Awaitable[Any]]
) -> None:
    fal.fault = "bad_gateway"
    await call(fal.url, with_login(proxy))

    assert (set(proxy.targets), len(fal.calls)) == ({urlsplit(fal.url).netloc}, 1)


@pytest.fixture
async def empty_store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Return host and port of a store without objects, which the variables of S3 name."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = f"127.0.0.1:{runner.addresses[0][1]}"
    login = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    for name, value in {"AWS_ENDPOINT_URL": f"http://{server}", **login}.items():
        monkeypatch.setenv(name, value)
    yield server
    await runner.cleanup()


async def test_video_store_uses_its_proxy(empty_store: str, proxy: HttpProxy) -> None:
    with pytest.raises(VideoMissing):
        await VideoStore("s3://videos", proxy=with_login(proxy)).read("t/g.mp4", 0, 1)
    assert (proxy.targets, bool(proxy.logins[0])) == ([empty_store], True)

    proxy.fault = "refuses"
    with pytest.raises(VideoStoreUnavailable) as refused:
        await VideoStore("s3://videos", proxy=with_login(proxy)).read("t/g.mp4", 0, 1)
    assert "ss-word" not in str(refused.value)


@pytest.fixture
def others_proxy(proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch) -> HttpProxy:
    """Return a proxy that the variables of other programs name."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    return proxy


async def test_variables_of_other_programs_select_no_proxy_of_fal(fal: ScriptedFal, others_proxy: HttpProxy) -> None:
    async with FalClient(queue_url=fal.url, key="k", model=MODEL, timeout=PATIENT) as opened:
        assert submit_outcome(await opened.submit({})) == Accepted("request-1")
        assert isinstance(await opened.status("r"), HttpResponse)

    assert others_proxy.targets == []


async def test_webhooks_and_probes_are_connected_directly(
    redis_url: str, empty_store: str, others_proxy: HttpProxy
) -> None:
    """The guard of addresses must see the address that is connected to."""
    own = {"fal_proxy_url": others_proxy.url, "media_proxy_url": others_proxy.url}
    settings = factories.settings(redis_url, preflight_allowed_networks=factories.LOOPBACK, **own)
    async with open_connections(settings, lambda: NOW) as connections:
        received = await connections.sender.post(f"http://{empty_store}/hook", headers={}, body=b"{}")
        probed = await connections.image_probe.probe(f"http://{empty_store}/a.png")

    assert isinstance(received, ReceiverResponse)
    assert received.status == 404
    assert isinstance(probed, ProbeResult)
    assert others_proxy.targets == []


def test_login_of_proxy_is_redacted() -> None:
    settings = factories.settings(
        "redis://127.0.0.1:9/0",
        fal_proxy_url=f"http://{LOGIN}@proxy.example:3128",
        media_proxy_url=f"http://m:{'n' * 9}@p",
    )
    basic = base64.b64encode(PLAIN_LOGIN.encode()).decode()
    line = f"{settings.fal_proxy_url} p@ss-word-of-the-proxy {basic} {'n' * 9}"

    redacted = Redactor(settings.secrets()).text(line)

    assert "proxy.example" in redacted
    for secret in ("ss-word", basic, "n" * 9):
        assert secret not in redacted
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "https://proxy.example:3128",
        "socks5://proxy.example",
        "proxy.example:3128",
        "http://",
        "http://p/path",
        "http://a:b/c@p:1",
    ],
)
def test_proxy_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        factories.settings("redis://127.0.0.1:9/0", fal_proxy_url=url)
    assert "a:b" not in str(refused.value)


async def test_generation_waits_while_the_proxy_refuses(
    fal: ScriptedFal, proxy: HttpProxy, redis_url: str, clock: Clock
) -> None:
    """The settings select the proxy, and a tunnel that is refused costs no generation and no second submit."""
    settings = factories.settings(redis_url, fal_queue_url=fal.url, fal_proxy_url=with_login(proxy))
    async with open_runtime(settings, clock=clock) as runtime:
        tenant = await runtime.tenants.service.create("acme")
        request = factories.create_request(image_url="https://v3b.fal.media/a.jpg")
        made = (await runtime.generations.creator.create(tenant, request)).generation
        faults: tuple[Fault, ...] = ("refuses", "closes", "")
        for fault in faults:
            proxy.fault = fault
            await process_due(runtime, WorkQueue.DISPATCH)
            found = await runtime.stores.generations.load(made.id)
            assert found is not None
            assert found.status is (Status.QUEUED if fault else Status.SUBMITTED), fault
            clock.advance(timedelta(minutes=2))

    assert fal.submits == 1
