"""Values of ``x-fal-target-url``: the URLs that the JavaScript client derives from the model, and no others."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.api.fal.addresses import HOSTS, QUEUE, REST, RUN, target_of
from service.errors import GatewayError, Malformed, NotFound

MODEL = "bytedance/seedance-2.0/image-to-video"
HEAD = "bytedance/seedance-2.0"
ID = "gen_01kdgq0000abcdefghjkmnpqrs"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (f"https://queue.fal.run/{MODEL}", f"{QUEUE}/{MODEL}"),
        (f"https://queue.fal.run/{MODEL}?fal_webhook=https%3A%2F%2Fa.example%2F", f"{QUEUE}/{MODEL}"),
        (f"https://queue.fal.run/{HEAD}/requests/{ID}/status?logs=1", f"{QUEUE}/{HEAD}/requests/{ID}/status"),
        (f"https://queue.fal.run/{MODEL}/requests/{ID}/", f"{QUEUE}/{MODEL}/requests/{ID}/"),
        (f"https://fal.run/{MODEL}", f"{RUN}/{MODEL}"),
        (f"https://fal.run/{MODEL}/stream", f"{RUN}/{MODEL}/stream"),
        (f"https://queue.fal.run/fal-ai/{MODEL}", f"{QUEUE}/fal-ai/{MODEL}"),
        (f"https://fal.run/fal-ai/{MODEL}/stream", f"{RUN}/fal-ai/{MODEL}/stream"),
        (f"https://queue.fal.run/fal-ai/{HEAD}/requests/{ID}", f"{QUEUE}/fal-ai/{HEAD}/requests/{ID}"),
        (f"https://queue.fal.run/fal-ai/bytedance/requests/{ID}", f"{QUEUE}/fal-ai/bytedance/requests/{ID}"),
        ("https://rest.fal.ai/storage/upload/initiate?storage_type=x", f"{REST}/storage/upload/initiate"),
        ("https://rest.alpha.fal.ai/storage/upload/initiate", f"{REST}/storage/upload/initiate"),
    ],
)
def test_target_of_client_call_is_routed(url: str, path: str) -> None:
    target = target_of(url, MODEL)
    assert (target.path, target.query) == (path, url.partition("?")[2])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        f"http://queue.fal.run/{MODEL}",
        f"//queue.fal.run/{MODEL}",
        f"ftp://queue.fal.run/{MODEL}",
        f"https://queue.fal.run.evil.example/{MODEL}",
        f"https://evil.example/{MODEL}",
        f"https://queue.fal.run@evil.example/{MODEL}",
        f"https://evil.example#@queue.fal.run/{MODEL}",
        f"https://user:password@queue.fal.run/{MODEL}",
        f"https://queue.fal.run:8443/{MODEL}",
        f"https://queue.fal.run:443/{MODEL}",
        f"https://queue.fal.run:x/{MODEL}",
        f"https://QUEUE.fal.run./{MODEL}",
        f"https://[::1]/{MODEL}",
        f"https://[/{MODEL}",
        f"https://127.0.0.1/{MODEL}",
        f"https://169.254.169.254/latest/meta-data/{MODEL}",
        f"https://queue.fal.run\\@evil.example/{MODEL}",
        f"https://queue.fal.run/{HEAD}/requests/../../admin/v1/tenants",
        f"https://queue.fal.run/{HEAD}/requests/%2e%2e/status",
        f"https://queue.fal.run/{HEAD}/requests/{ID}%2fstatus",
        f"https://queue.fal.run/{HEAD}/requests/{ID}\r\nx: y",
        f"https://queue.fal.run/{HEAD}//requests/{ID}",
        f"https://queue.fal.run/{MODEL}#fragment",
        f"https://queue.fal.run/{MODEL}?x=é",
        "https://queue.fal.run",
        "https://queue.fal.run/",
        f"https://queue.fal.run/{MODEL}?" + "x" * 9000,
    ],
)
def test_target_of_no_client_is_malformed(url: str) -> None:
    with pytest.raises(Malformed):
        target_of(url, MODEL)


@pytest.mark.parametrize(
    "url",
    [
        "https://queue.fal.run/fal-ai/flux/dev",
        f"https://queue.fal.run/{HEAD}",
        f"https://queue.fal.run/{HEAD}/text-to-video",
        f"https://queue.fal.run/{MODEL}x",
        f"https://queue.fal.run/{HEAD}x/requests/{ID}",
        "https://fal.run/bytedance/seedance-2.0/fast/image-to-video",
        f"https://queue.fal.run/fal-ai/fal-ai/{MODEL}",
        f"https://queue.fal.run/other/{MODEL}",
        f"https://queue.fal.run/fal-ai/requests/{ID}",
        f"https://queue.fal.run/bytedance/requests/{ID}",
    ],
)
def test_target_of_other_model_is_not_found(url: str) -> None:
    with pytest.raises(NotFound):
        target_of(url, MODEL)


@given(
    st.one_of(
        st.text(),
        st.builds("https://{}/{}?{}".format, st.sampled_from([*HOSTS, "evil.example"]), st.text(), st.text()),
        st.builds("{}://{}{}/{}".format, st.text(), st.text(), st.sampled_from(list(HOSTS)), st.just(MODEL)),
    )
)
@example("https://rest.fal.ai/0..")  # dots inside a segment lead nowhere else
@example("https://rest.fal.ai/storage/../x")
def test_target_any_text_reaches_own_routes_only(url: str) -> None:
    try:
        target = target_of(url, MODEL)
    except GatewayError:
        return
    path = target.path.replace("/fal-ai/", "/", 1)
    assert path.startswith((f"{QUEUE}/{MODEL}", f"{QUEUE}/{HEAD}/requests/", f"{RUN}/{MODEL}", f"{REST}/"))
    assert ".." not in target.path.split("/")
    assert "%" not in target.path
    assert target.path.isascii()
