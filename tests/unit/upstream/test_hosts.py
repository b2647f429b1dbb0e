"""The owner of a URL: fal's files, the configured fal, or another host."""

import pytest

from service.upstream.hosts import FalHosts

HOSTS = FalHosts(("fal.media",), ("https://queue.fal.run", "http://127.0.0.1:8081/rest"))


@pytest.mark.parametrize(
    "url",
    [
        "https://fal.media/files/a.mp4",
        "https://v3b.fal.media/files/b/0a/x.mp4?sig=1#t",
        "https://V3B.FAL.MEDIA:443/a.mp4",
        "https://queue.fal.run/anything",
        "http://127.0.0.1:8081/cdn/files/a.mp4",
    ],
)
def test_host_of_fal(url: str) -> None:
    assert HOSTS.own(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://v3b.fal.media/a.mp4",
        "https://v3b.fal.media:8443/a.mp4",
        "https://evilfal.media/a.mp4",
        "https://fal.media.evil.test/a.mp4",
        "https://fal.media@evil.test/a.mp4",
        "https://evil.test\\@fal.media/a.mp4",
        "https://user:secret@fal.media/a.mp4",
        "http://127.0.0.1:8082/a.mp4",
        "http://127.0.0.1/a.mp4",
        "https://127.0.0.1:8081/a.mp4",
        "http://169.254.169.254/latest/",
        "file:///etc/passwd",
        "https://[::1/",
        "https://fal.media:port/",
        "",
        "fal.media",
    ],
)
def test_host_of_others(url: str) -> None:
    assert not HOSTS.own(url)
