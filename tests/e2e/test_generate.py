"""``seedance-gateway generate`` against a whole stack: results, cut connections, interrupts, wrong usage."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from service.cli.dev.child_processes import free_port
from service.domain.pricing import Rates, usd
from tests.e2e.conftest import SAMPLES, TenantClient
from tests.support.chaos.cutting_proxy import Cut, Cutter

PHOTO = str(SAMPLES / "rocket.jpg")
POLICY = "sandbox:policy sandbox:seconds=0.1"
SHORT = ("--duration", "4", "--resolution", "480p")


@pytest.fixture
def run(tenant: TenantClient, tmp_path: Path) -> Any:
    """Return a function that runs ``generate`` in the test's folder and returns the finished process."""

    def finished(*words: str, url: str = "", key: str = "", exits: int = 0) -> subprocess.CompletedProcess[str]:
        with started(tenant, tmp_path, *words, url=url, key=key) as process:
            stdout, stderr = process.communicate(timeout=180)
        assert process.returncode == exits, stdout + stderr
        assert "Traceback" not in stderr
        assert tenant.stack.api_key not in stdout + stderr
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    return finished


@contextmanager
def started(
    tenant: TenantClient, folder: Path, *words: str, url: str = "", key: str = "", command: str = "generate"
) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "SEEDANCE_GATEWAY_URL": url or tenant.stack.base_url,
        "SEEDANCE_GATEWAY_KEY": key or tenant.stack.api_key,
        "PYTHONIOENCODING": "utf-8",
        "NO_PROXY": "127.0.0.1",
    }
    program = [sys.executable, "-m", "service.cli", command, *words]
    with subprocess.Popen(
        program, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def created(tenant: TenantClient, prompt: str) -> list[Any]:
    """Return the tenant's generations with this prompt."""
    listed = tenant.http.get("/v1/generations", params={"limit": 100}).json()["data"]
    return [g for g in listed if g["input"]["prompt"] == prompt]


def test_generate_makes_a_video_of_a_photo(run: Any, tenant: TenantClient, tmp_path: Path) -> None:
    prompt = "sandbox:logs the rocket lifts off, by command"
    end = ("--end-image", str(SAMPLES / "cat.png"), "--aspect-ratio", "16:9", "--no-audio", "--end-user", "customer-7")
    result = run(PHOTO, prompt, *SHORT, *end, "--max-cost", "5.00", "--output", "rocket.mp4")
    assert re.fullmatch(r"rocket\.mp4  \d+\.\d MB, \d+\.\d s, \$\d+\.\d{6}\n", result.stdout)
    with av.open(tmp_path / "rocket.mp4") as video:
        picture = video.streams.video[0]
        assert (picture.width, picture.height) == (864, 496)
        assert sum(1 for _ in video.decode(picture)) == 4 * 24
        assert not video.streams.audio
    assert [path.name for path in tmp_path.iterdir()] == ["rocket.mp4"], "no partial file stays"
    (g,) = created(tenant, prompt)
    assert (g["end_user_id"], g["input"]["generate_audio"], g["input"]["duration"]) == ("customer-7", False, "4")
    shown = [line.split(maxsplit=2)[2] for line in result.stderr.splitlines() if re.match(r" +\d", line)]
    assert [line.partition(":")[0] for line in shown][-1] == "succeeded"
    assert [line for line in shown if line.startswith("in_progress")]
    for line in g["logs"]:
        assert result.stderr.count(f"  {line['message']}\n") == 1, "each line of fal's log once"


def test_generate_json_is_one_object(run: Any, tenant: TenantClient, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    url = "https://v3b.fal.media/a.jpg"
    result = run(url, "sandbox:no-video by url", *SHORT, "--json", "--output", "videos")
    answer = json.loads(result.stdout)
    g = answer["generation"]
    assert result.stdout.count("\n") == 1
    assert g == tenant.read(g["id"])
    assert g["input"]["image_url"] == url, "nothing was uploaded"
    assert answer["path"] == f"videos/{g['id']}.mp4"
    assert answer["size"] == (tmp_path / answer["path"]).stat().st_size > 0
    assert (answer["error"], answer["seconds"] > 0) == (None, True)


def test_generate_refused_by_policy(run: Any, tenant: TenantClient, tmp_path: Path) -> None:
    result = run(PHOTO, POLICY, *SHORT, exits=1)
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("The images or videos provided may contain likenesses")
    (accepted,) = re.findall(r"accepted as (gen_\w+)", result.stderr)
    (g,) = [each for each in created(tenant, POLICY) if each["id"] == accepted]
    assert last.endswith(f"(content_policy, {accepted}, fal request {g['fal_request_id']})")
    as_json = json.loads(run(PHOTO, POLICY, *SHORT, "--json", exits=1).stdout)
    assert (as_json["error"]["code"], as_json["path"]) == ("content_policy", None)
    assert as_json["generation"]["status"] == "failed"
    assert not list(tmp_path.iterdir())


def test_generate_quote_creates_nothing(run: Any, tenant: TenantClient) -> None:
    most = usd(Rates(tenant.stack.settings.rates).estimate("480p", "4"))
    assert run("no-such.jpg", "only asked", *SHORT, "--estimate").stdout == f"At most ${most}\n"
    quote = json.loads(run(PHOTO, "only asked", *SHORT, "--estimate", "--json").stdout)
    assert (quote["estimated"], quote["fits"]) == (most, True)
    assert created(tenant, "only asked") == []


def test_generate_names_a_model(run: Any, tenant: TenantClient) -> None:
    seed, other = "bytedance/seedance-2.0/image-to-video", "bytedance/seedance-2.0/text-to-video"
    quote = run(PHOTO, "only asked", *SHORT, "--estimate", "--json", "--model", seed)
    assert json.loads(quote.stdout)["model"] == seed

    refused = run("-", "only asked", *SHORT, "--model", other, exits=1)

    assert f"must be a model that you may use: {seed}" in refused.stderr
    assert created(tenant, "only asked") == []


def test_models_lists_what_the_key_may_use(tenant: TenantClient, tmp_path: Path) -> None:
    with started(tenant, tmp_path, command="models") as process:
        stdout, _ = process.communicate(timeout=180)

    assert stdout.startswith("bytedance/seedance-2.0/image-to-video  image-to-video  480p 0.143 USD/s, 720p ")
    assert (process.returncode, stdout.count("\n")) == (0, 1)


def test_generate_detached_exits_and_job_continues(run: Any, tenant: TenantClient) -> None:
    result = run(PHOTO, "sandbox:no-video detached", *SHORT, "--detach")
    assert tenant.ended(result.stdout.strip())["status"] == "succeeded"


# --- cut connections --------------------------------------------------------------------------------------------------


def test_generate_lost_response_creates_once(run: Any, tenant: TenantClient) -> None:
    prompt = "sandbox:no-video lost answer"
    with Cutter(tenant.stack.port or 0, Cut(rb"POST /v1/generations ", times=2), Cut(rb"POST /v1/uploads ")) as proxy:
        run(PHOTO, prompt, *SHORT, url=proxy.url)
    assert len(proxy.calls("POST /v1/generations ")) == 3
    assert len(proxy.calls("POST /v1/uploads ")) == 2
    assert len(created(tenant, prompt)) == 1
    assert len(tenant.submits(prompt)) == 1


def test_generate_broken_stream_resumes(run: Any, tenant: TenantClient) -> None:
    prompt = "sandbox:logs sandbox:no-video sandbox:seconds=2 broken stream"
    cuts = [Cut(rb"GET \S+/events ", after) for after in (b"event: log", b'"message":"Denoising"', b"succeeded")]
    with Cutter(tenant.stack.port or 0, *cuts) as proxy:
        result = run(PHOTO, prompt, *SHORT, url=proxy.url)
    streams = proxy.calls(r"GET \S+/events ")
    assert len(streams) >= 2, "a poll follows a stream without an event"
    assert b"last-event-id" not in streams[0].lower()
    assert all(b"last-event-id: " in head.lower() for head in streams[1:])
    (g,) = created(tenant, prompt)
    for line in g["logs"]:
        assert result.stderr.count(f"  {line['message']}\n") == 1


def test_generate_without_stream_polls(run: Any, tenant: TenantClient) -> None:
    with Cutter(tenant.stack.port or 0, Cut(rb"GET \S+/events ", times=1000)) as proxy:
        run(PHOTO, "sandbox:no-video sandbox:seconds=1 no stream", *SHORT, url=proxy.url)
    assert proxy.calls(r"GET /v1/generations/\w+\?wait=")


def test_generate_waits_for_restarted_gateway(own_tenant: TenantClient, tmp_path: Path) -> None:
    with started(own_tenant, tmp_path, PHOTO, "sandbox:no-video sandbox:seconds=3 restart", *SHORT) as process:
        read_until(process, "submitted")
        own_tenant.stack.children["gateway"].kill()
        own_tenant.stack.start_gateway()
        stdout, stderr = process.communicate(timeout=180)
    assert process.returncode == 0, stdout + stderr
    assert list(tmp_path.glob("gen_*.mp4"))


# --- interrupted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_generate_interrupted_cancels(tenant: TenantClient, tmp_path: Path, number: signal.Signals) -> None:
    prompt = f"sandbox:hang interrupted by {number.name}"
    with started(tenant, tmp_path, PHOTO, prompt, *SHORT, "--json") as process:
        read_until(process, "in_progress")
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=240)
    (g,) = created(tenant, prompt)
    assert process.returncode == 130, stderr
    assert f"fal was asked to cancel {g['id']}" in stderr
    assert "Traceback" not in stderr
    answer = json.loads(stdout)
    assert (answer["error"]["code"], answer["generation"]["id"]) == ("interrupted", g["id"])
    assert tenant.ended(g["id"])["status"] == "canceled"


def test_generate_interrupted_before_response_cancels(tenant: TenantClient, tmp_path: Path) -> None:
    """The gateway has received the create, and its response is lost; then Ctrl-C arrives."""
    prompt = "sandbox:hang interrupted early"
    with (
        Cutter(tenant.stack.port or 0, Cut(rb"POST /v1/generations ", times=2)) as proxy,
        started(tenant, tmp_path, PHOTO, prompt, *SHORT, url=proxy.url) as process,
    ):
        wait_until(lambda: bool(proxy.calls("POST /v1/generations ")))
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=240)
    assert process.returncode == 130, stderr
    (g,) = created(tenant, prompt)
    assert g["id"] in stderr
    assert tenant.ended(g["id"])["status"] == "canceled"


def test_generate_timeout_cancels(run: Any, tenant: TenantClient) -> None:
    prompt = "sandbox:hang out of time"
    result = run(PHOTO, prompt, *SHORT, "--timeout", "4", exits=1)
    (g,) = created(tenant, prompt)
    assert "No video within 4 seconds. --timeout limits the wait to this." in result.stderr
    assert "did not answer in time" not in result.stderr, "it is the limit of the caller, not a fault of the gateway"
    assert f"(timeout, {g['id']}" in result.stderr.splitlines()[-1]
    assert tenant.ended(g["id"])["status"] == "canceled"


def test_generate_video_that_cannot_be_saved_is_not_lost(run: Any, tenant: TenantClient, tmp_path: Path) -> None:
    prompt = "sandbox:no-video a name that is too long while it is written"
    result = run(PHOTO, prompt, *SHORT, "--output", str(tmp_path / f"{250 * 'a'}.mp4"), exits=1)
    (g,) = created(tenant, prompt)
    assert "File name too long" in result.stderr
    assert f"The video is not lost: GET /v1/generations/{g['id']}/video downloads it again." in result.stderr
    assert g["status"] == "succeeded"


# --- wrong usage ------------------------------------------------------------------------------------------------------


def test_generate_wrong_usage_creates_nothing(run: Any, tenant: TenantClient, tmp_path: Path) -> None:
    text, huge = tmp_path / "text.jpg", tmp_path / "huge.jpg"
    text.write_text("no picture")
    huge.write_bytes(b"\xff\xd8\xff")
    os.truncate(huge, 30_000_001)
    prompt = "wrongly used"
    for words, message in (
        (("no-such.jpg", prompt), "No such file"),
        ((str(text), prompt), "Only JPEG, PNG and WebP images are accepted"),
        ((str(huge), prompt), "larger than 30 MB"),
        ((str(tmp_path), prompt), "Is a directory"),
        ((PHOTO, prompt, "--output", "no/such/folder/video.mp4"), "is not a writable folder"),
        ((PHOTO, prompt, "--url", "ftp://example.com"), "http://"),
        ((PHOTO, prompt, "--timeout", "0"), "--timeout"),
        ((PHOTO,), "Missing argument"),
    ):
        result = run(*words, exits=2)
        assert message in " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.stderr).split()), words
        assert result.stdout == ""
    assert created(tenant, prompt) == []


def test_generate_refusal_is_one_line(run: Any, tenant: TenantClient) -> None:
    mistyped = tenant.stack.api_key[:-1] + "!"
    for words, key, message in (
        (("x", *SHORT), mistyped, "The API key is mistyped"),
        (("x", "--duration", "77"), "", "/duration: must be"),
        (("x", "--max-cost", "0.01"), "", "max_cost_usd"),
        (("x", "--max-cost", "a lot"), "", "/max_cost_usd"),
    ):
        result = run("https://v3b.fal.media/a.jpg", *words, key=key, exits=1)
        (*_, last) = result.stderr.splitlines()
        assert message in last
        assert re.search(r"\((unauthenticated|invalid|max_cost_exceeded), request [0-9a-f]{32}\)$", last)
        assert mistyped not in result.stderr


def test_generate_unavailable_gateway_fails_at_once(tenant: TenantClient, tmp_path: Path) -> None:
    with started(tenant, tmp_path, PHOTO, "unreachable", url=f"http://127.0.0.1:{free_port()}") as process:
        read_until(process, "Retrying for 30 s.")


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    read = ""
    for line in process.stderr:
        read += line
        if text in line:
            return
    raise AssertionError(f"the process ended before {text!r}:\n{read}")


def wait_until(condition: Any) -> None:
    give_up = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)
