"""Settings: reading, validation, the environment of child processes, and redaction of secrets."""

import base64
import secrets
import traceback
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from service.config.settings import PREFIX, Settings
from service.config.types import random_key
from tests.support import factories

REQUIRED = {"GATEWAY_FAL_KEY": "id:secret", "GATEWAY_SECRET_KEY": factories.SECRET_KEY}

#: Every setting with a value that is not its default.
EVERYTHING: dict[str, Any] = {
    "jwt_leeway": timedelta(seconds=5),
    "jwks_allowed_hosts": ("issuer.internal",),
    "jwks_allowed_networks": (ip_network("10.7.0.0/16"),),
    "jwks_ca_file": Path("/etc/ssl/cluster.pem"),
    "redis_url": "redis://:hush-redis@10.0.0.1:6379/3",
    "redis_timeout": 2.5,
    "console": False,
    "redis_ca_file": Path("/etc/ssl/redis.pem"),
    "redis_wait_replicas": 1,
    "redis_memory_limit": 1_000_000_000,
    "redis_create_share": 0.7,
    "redis_tenant_share": 0.5,
    "default_requests_per_minute": 600,
    "default_queued_generations": None,
    "default_concurrent_generations": 4,
    "default_daily_generations": None,
    "default_daily_new_end_users": 50,
    "default_stored_deliveries": 5_000,
    "default_undelivered_tests": None,
    "default_webhook_endpoints": 3,
    "default_monthly_budget_usd": Decimal(500),
    "default_end_user_daily_budget_usd": Decimal("2.5"),
    "default_end_user_daily_count": 20,
    "broker_url": "amqp://user:hush-broker@10.0.0.2//",
    "fal_key": SecretStr("hush-fal:hush-fal"),
    "fal_queue_url": "http://127.0.0.1:9/queue",
    "fal_rest_url": "http://127.0.0.1:9/rest",
    "fal_api_url": "http://127.0.0.1:9/api",
    "fal_site_url": "http://127.0.0.1:9/site",
    "fal_admin_key": SecretStr("hush-fal-admin:hush-fal-admin"),
    "fal_proxy_url": "http://user:hush-fal-proxy@10.0.0.3:3128",
    "media_proxy_url": "http://user:hush-media-proxy@10.0.0.4:3128",
    "fal_model": "bytedance/seedance-2.0/fast/image-to-video",
    "models": ("bytedance/seedance-2.0/text-to-video",),
    "models_file": Path("/etc/gateway/models.toml"),
    "fal_timeout": timedelta(seconds=7, milliseconds=500),
    "public_url": "https://gateway.example.com",
    "secret_key": SecretStr(
        "hushJd8xKq2VwZp7RtY5mNc1LbG9sFhT3eUa6oWiPkQrXvB, hushZr4TgYc8WnLq1XbVm6KsJp3HdRf9EuAo7iQkUyPtNwS"
    ),
    "admin_token": SecretStr("hush-admin-token-xyz"),
    "operator_token": SecretStr("sgo_hush-operator-token-xyz"),
    "oidc_issuer": "https://login.example.com/realms/video/",
    "oidc_client_id": "seedance-console",
    "oidc_client_secret": SecretStr("hush-oidc-client-secret"),
    "oidc_scopes": "openid groups",
    "oidc_roles": {"groups": {"video-admins": "admin"}},
    "oidc_default_role": "viewer",
    "console_url": "http://localhost:8080",
    "trail_retention": timedelta(days=30),
    "tenant_daily_acts": 500,
    "tenant_trail_entries": 5_000,
    "max_body_bytes": 2048,
    "max_upload_bytes": 4096,
    "max_inline_bytes": 5000,
    "max_image_pixels": 1_000_000,
    "body_least_rate": 99,
    "body_memory": 400_000_000,
    "body_tenant_memory": 100_000_000,
    "upload_disk": 2_000_000_000,
    "upload_tenant_disk": 300_000_000,
    "upload_timeout": timedelta(seconds=9),
    "preflight": False,
    "preflight_timeout": timedelta(seconds=2),
    "preflight_bytes": 4096,
    "preflight_files_timeout": timedelta(seconds=12),
    "preflight_allowed_networks": (ip_network("10.1.0.0/16"),),
    "media_url": "s3://videos/copies",
    "media_timeout": timedelta(seconds=30),
    "media_redirect": False,
    "fal_media_hosts": ("fal.media", "files.example"),
    "max_prompt_characters": 99,
    "max_fal_prompt_characters": 20_001,
    "resolutions": ("480p", "4k"),
    "bitrate_modes": ("standard", "high"),
    "rates": {"480p": Decimal("0.1"), "720p": Decimal("0.2"), "1080p": Decimal("0.3"), "4k": Decimal("0.4")},
    "account_daily_budget_usd": Decimal("12.5"),
    "trusted_proxies": (ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
    "resend_window": timedelta(seconds=9),
    "cors_origins": ("https://app.example",),
    "upstream_concurrency": 3,
    "submit_failures": 2,
    "submit_refusals": 4,
    "unconfirmed_slots_share": 0.4,
    "submit_probe": timedelta(seconds=3),
    "submit_probe_longest": timedelta(minutes=1),
    "queue_expiry": timedelta(hours=1),
    "upstream_deadline": timedelta(hours=3),
    "unconfirmed_deadline": timedelta(days=2),
    "unconfirmed_slot": timedelta(minutes=4),
    "reconcile_every": timedelta(seconds=90),
    "poll_shortest": timedelta(milliseconds=50),
    "poll_longest": timedelta(seconds=20),
    "polls_per_second": 12.5,
    "webhook_schedule": (timedelta(0), timedelta(milliseconds=1500), timedelta(days=1)),
    "webhook_timeout": timedelta(seconds=4),
    "webhook_concurrency": 5,
    "webhook_receiver_concurrency": 7,
    "video_downloads": 3,
    "video_downloads_total": 9,
    "video_read_timeout": timedelta(seconds=20),
    "webhook_unproven_concurrency": 2,
    "webhook_tenant_share": 0.3,
    "webhook_unproven_share": 0.25,
    "webhook_disable_after": timedelta(days=3),
    "webhook_allowed_hosts": ("receiver.internal", "corp.example"),
    "webhook_allowed_networks": (ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
    "waiting_calls": 11,
    "event_streams": 7,
    "event_heartbeat": timedelta(seconds=5),
    "event_stream_longest": timedelta(minutes=5),
    "retention": timedelta(days=3),
    "shutdown_grace": timedelta(0),
    "connections": 100,
    "reads_per_request": 700,
    "reads_per_tenant": 70_000,
    "keep_alive": timedelta(seconds=90),
    "metrics_port": 9100,
    "metrics_host": "10.0.0.5",
    "log_level": "DEBUG",
    "log_format": "json",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_settings_required_only_use_defaults(environment: pytest.MonkeyPatch) -> None:
    settings = Settings()

    assert settings.fal_queue_url == "https://queue.fal.run"
    assert settings.admin_token is None
    assert settings.resolutions == ("480p", "720p")


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_settings_missing_required_is_refused(environment: pytest.MonkeyPatch, missing: str) -> None:
    environment.delenv(missing)

    with pytest.raises(ValidationError, match=missing.removeprefix(PREFIX).lower()):
        Settings()


def test_everything_has_no_default_and_covers_all_settings() -> None:
    fields = Settings.model_fields

    assert set(EVERYTHING) == set(fields)
    assert not [name for name, value in EVERYTHING.items() if value == fields[name].default]


def test_environment_gives_another_process_equal_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Settings(**EVERYTHING)
    for name, value in original.environment().items():
        monkeypatch.setenv(name, value)

    assert Settings() == original


#: What a setting needs in order to be valid.
NEEDED = {"oidc_issuer": ("oidc_client_id", "oidc_default_role", "public_url")}


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_environment_preserves_each_setting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    given = {each: EVERYTHING[each] for each in (name, *NEEDED.get(name, ()))}
    original = Settings(**{"fal_key": "id:secret", "secret_key": factories.SECRET_KEY, **given})
    for variable, value in original.environment().items():
        monkeypatch.setenv(variable, value)

    assert getattr(Settings(), name) == EVERYTHING[name]


@pytest.mark.parametrize(
    "url", ["rediss://a:1/0", "unix:///run/redis.sock", "sentinel://:w@a:1,b:2/main/0", "sentinels://a/main"]
)
def test_redis_url_every_scheme_is_accepted(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("GATEWAY_REDIS_URL", url)
    assert Settings().redis_url == url


@pytest.mark.parametrize("name", ["GATEWAY_REDIS_URL", "GATEWAY_BROKER_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "sentinel://:hush-text@a:1",
        "sentinels://:hush-text@a:x/main",
        "redis://:hush-text/with-a-slash@a:1/0",
        "rediss://a:70000/0",
    ],
)
def test_url_invalid_is_refused_without_quoting_it(environment: pytest.MonkeyPatch, name: str, url: str) -> None:
    environment.setenv(name, url)
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert "hush-text" not in "".join(traceback.format_exception(raised.value))


def test_redis_url_other_scheme_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_REDIS_URL", "amqp://:hush-text@a")
    with pytest.raises(ValidationError, match="must begin with one of redis://"):
        Settings()


def test_environment_has_only_settings_that_were_set() -> None:
    assert set(factories.settings("redis://127.0.0.1:1/0").environment()) == {
        "GATEWAY_ADMIN_TOKEN",
        "GATEWAY_FAL_API_URL",
        "GATEWAY_FAL_KEY",
        "GATEWAY_FAL_QUEUE_URL",
        "GATEWAY_FAL_REST_URL",
        "GATEWAY_FAL_SITE_URL",
        "GATEWAY_PREFLIGHT",
        "GATEWAY_REDIS_URL",
        "GATEWAY_SECRET_KEY",
        "GATEWAY_SHUTDOWN_GRACE",
        "GATEWAY_WEBHOOK_ALLOWED_NETWORKS",
    }


WEAK = ["", "short", "x" * 15, "secret", "changeme", "CHANGEME", "password", "sk-1234"]


@pytest.mark.parametrize("weak", WEAK)
def test_admin_token_weak_is_refused(environment: pytest.MonkeyPatch, weak: str) -> None:
    environment.setenv("GATEWAY_ADMIN_TOKEN", weak)

    with pytest.raises(ValidationError, match="random secret of at least 16 characters"):
        Settings()


#: Too short, or not random, whatever their length.
WEAK_KEYS = [
    *WEAK,
    factories.SECRET_KEY[:-1],
    "d630df6df2c67d5d408047da466acde6",  # of token_hex(16), token_urlsafe(31) and uuid4()
    "ljJNn_5HSwnny1Tq0zs-12r1kxNp9idCRzN-AMTs0g",
    "4e160bd3-ea78-4d4c-979f-63e21c5fda02",
    "a-test-secret-key-of-enough-length",
    "change-me-change-me-Change-Me-change-me-change-me-change-me",
    "k" * 64,
    "ab" * 40,
    factories.SECRET_KEY[:16] * 4,
    "0123456789abcdef" * 4,
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "This-is-the-SECRET-of-our-deployment-and-it-is-long-enough-1",
]


@pytest.mark.parametrize("weak", [*WEAK_KEYS, *(f"{factories.SECRET_KEY},{weak}" for weak in WEAK_KEYS), "," * 20])
def test_secret_key_weak_is_refused(environment: pytest.MonkeyPatch, weak: str) -> None:
    environment.setenv("GATEWAY_SECRET_KEY", weak)

    with pytest.raises(ValidationError, match="at least 32 random bytes; this command makes them: openssl"):
        Settings()


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_hex(32),
        lambda: secrets.token_hex(32).upper(),
        lambda: secrets.token_urlsafe(32),
        lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
        lambda: base64.b32encode(secrets.token_bytes(32)).decode(),
    ],
)
def test_secret_key_random_is_accepted(make: Callable[[], str]) -> None:
    def is_refused() -> bool:
        try:
            random_key(make())
        except ValueError:
            return True
        return False

    assert sum(is_refused() for _ in range(2000)) <= 2, "a random key has a word of placeholders by chance"


def test_secret_keys_are_split_at_commas() -> None:
    assert Settings(**EVERYTHING).secret_keys() == [
        "hushJd8xKq2VwZp7RtY5mNc1LbG9sFhT3eUa6oWiPkQrXvB",
        "hushZr4TgYc8WnLq1XbVm6KsJp3HdRf9EuAo7iQkUyPtNwS",
    ]


WRONG = [
    ("GATEWAY_FAL_KEY", ""),
    ("GATEWAY_FAL_KEY", "id:secret\n"),
    ("GATEWAY_FAL_KEY", "id:s\u00e9cret"),
    ("GATEWAY_FAL_ADMIN_KEY", ""),
    ("GATEWAY_FAL_ADMIN_KEY", "id:secret\n"),
    ("GATEWAY_ADMIN_TOKEN", "t" * 32 + "\n"),
    ("GATEWAY_OIDC_ISSUER", "http://login.example.com"),
    ("GATEWAY_OIDC_ISSUER", "https://ann:hush@login.example.com"),
    ("GATEWAY_OIDC_ISSUER", "https://login.example.com?tenant=a"),
    ("GATEWAY_OIDC_ISSUER", "https://login.example.com#a"),
    ("GATEWAY_OIDC_ISSUER", "login.example.com"),
    ("GATEWAY_OIDC_ISSUER", "https://"),
    ("GATEWAY_OIDC_CLIENT_ID", ""),
    ("GATEWAY_OIDC_CLIENT_SECRET", ""),
    ("GATEWAY_OIDC_SCOPES", "profile email"),
    ("GATEWAY_OIDC_ROLES", '{"groups": {"video": "root"}}'),
    ("GATEWAY_OIDC_DEFAULT_ROLE", "root"),
    ("GATEWAY_REDIS_TIMEOUT", "60"),
    ("GATEWAY_REDIS_TIMEOUT", "inf"),
    ("GATEWAY_REDIS_TIMEOUT", "0.001"),
    ("GATEWAY_RECONCILE_EVERY", "0"),
    ("GATEWAY_FAL_QUEUE_URL", "queue.fal.run"),
    ("GATEWAY_FAL_QUEUE_URL", "ftp://queue.fal.run"),
    ("GATEWAY_FAL_MODEL", "../../etc/passwd"),
    ("GATEWAY_FAL_MODEL", "bytedance/seedance-2.0"),
    ("GATEWAY_FAL_MODEL", "https://example.com/a/b"),
    ("GATEWAY_FAL_TIMEOUT", "0"),
    ("GATEWAY_FAL_TIMEOUT", "soon"),
    ("GATEWAY_FAL_TIMEOUT", "-1"),
    ("GATEWAY_FAL_TIMEOUT", "nan"),
    ("GATEWAY_FAL_TIMEOUT", "inf"),
    ("GATEWAY_MAX_BODY_BYTES", "10"),
    ("GATEWAY_UPSTREAM_CONCURRENCY", "0"),
    ("GATEWAY_RESOLUTIONS", "[]"),
    ("GATEWAY_RESOLUTIONS", '["8k"]'),
    ("GATEWAY_RATES", '{"720p": "0.014"}'),
    ("GATEWAY_RATES", '{"480p": "0", "720p": "1", "1080p": "1", "4k": "1"}'),
    ("GATEWAY_RATES", '{"480p": "NaN", "720p": "1", "1080p": "1", "4k": "1"}'),
    ("GATEWAY_RATES", '{"480p": "Infinity", "720p": "1", "1080p": "1", "4k": "1"}'),
    ("GATEWAY_POLLS_PER_SECOND", "0"),
    ("GATEWAY_WEBHOOK_SCHEDULE", "[]"),
    ("GATEWAY_WEBHOOK_SCHEDULE", "[60, 60]"),
    ("GATEWAY_WEBHOOK_SCHEDULE", "[0, -5]"),
    ("GATEWAY_WEBHOOK_ALLOWED_NETWORKS", '["10.0.0.1/8"]'),
    ("GATEWAY_METRICS_PORT", "70000"),
    ("GATEWAY_LOG_LEVEL", "loud"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_settings_wrong_value_is_refused(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)

    with pytest.raises(ValidationError):
        Settings()


def test_duration_seconds_and_iso_8601_are_accepted(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_RETENTION", "3600")
    environment.setenv("GATEWAY_WEBHOOK_TIMEOUT", "2.5")
    environment.setenv("GATEWAY_FAL_TIMEOUT", "PT1M30S")
    environment.setenv("GATEWAY_WEBHOOK_SCHEDULE", '[0, "5", "PT5M"]')

    assert Settings().retention == timedelta(hours=1)
    assert Settings().webhook_timeout == timedelta(seconds=2.5)
    assert Settings().fal_timeout == timedelta(seconds=90)
    assert Settings().webhook_schedule == (timedelta(0), timedelta(seconds=5), timedelta(minutes=5))


def test_base_url_loses_last_slash(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_FAL_QUEUE_URL", "https://queue.fal.run/")

    assert Settings().fal_queue_url == "https://queue.fal.run"


def test_settings_are_read_only() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(**EVERYTHING), "log_level", "INFO")  # noqa: B010  (mypy knows it is read-only)


def test_settings_repr_has_no_secret() -> None:
    settings = Settings(**EVERYTHING)

    assert "hush" not in repr(settings) + str(settings) + f"{settings!s}"
    assert "hush" in "".join(settings.environment().values()), "the environment includes secrets"


@pytest.mark.parametrize("name", ["GATEWAY_SECRET_KEY", "GATEWAY_ADMIN_TOKEN"])
def test_secret_refused_is_not_in_message(environment: pytest.MonkeyPatch, name: str) -> None:
    """A start-up error of a worker or a gateway is logged."""
    environment.setenv(name, "hush,hush,hush")

    with pytest.raises(ValidationError) as raised:
        Settings()

    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://api.example.com", ""),
        ("https://api.example.com/", ""),
        ("https://api.example.com/video", "/video"),
        ("https://api.example.com/video/eu-1/", "/video/eu-1"),
        ("https://api.example.com/v10/v1", "/v10/v1"),
    ],
)
def test_path_prefix_is_path_of_public_url(url: str, prefix: str) -> None:
    found = factories.settings("redis://127.0.0.1:9/0", public_url=url)
    assert (found.public_url, found.path_prefix) == (url.rstrip("/"), prefix)


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com/video",
        "ftp://api.example.com",
        "https://user:password@api.example.com",
        "https://api.example.com/?a=b",
        "https://api.example.com/a?",
        "https://api.example.com/a#b",
        "https://api.example.com//video",
        "https://api.example.com/a%20b",
        "https://api.example.com/v1",
        "https://api.example.com/fal/video",
        "https://api.example.com/docs/",
    ],
)
def test_public_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="public_url"):
        factories.settings("redis://127.0.0.1:9/0", public_url=url)
