"""``seedance-gateway models`` through HTTP."""

import pytest
from typer.testing import CliRunner

from service.app import create_app
from service.cli.main import app as commands
from service.domain.tenant import Limits
from tests.support import factories
from tests.support.served import served

SEED = "bytedance/seedance-2.0/image-to-video"
FAST = "bytedance/seedance-2.0/fast/text-to-video"


def test_models_prints_kinds_and_held_prices_of_the_tenant(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = factories.settings(redis_url, models=("*",), resolutions=("480p", "720p", "4k"))
    with served(create_app(settings)) as gateway:
        tenants = gateway.runtime.tenants
        limits = Limits(models=(SEED, FAST), resolutions=("720p", "4k"), durations=("4", "auto"))
        tenant = gateway.run(tenants.service.create("acme", limits))
        key = gateway.run(tenants.api_keys.create(tenant.id)).text
        monkeypatch.setenv("SEEDANCE_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("SEEDANCE_GATEWAY_KEY", key)

        found = CliRunner().invoke(commands, ["models"])

    assert found.exit_code == 0, found.stderr
    # Pixels x 97 frames / 1,024,000 x rate / 4 seconds, of 927,408 pixels at 720p and 8,347,504 at 4k
    assert found.stdout.splitlines() == [
        f"{SEED}  image-to-video  720p 0.308 USD/s, 4k 1.582 USD/s  auto, 4 s",
        f"{FAST}  text-to-video  720p 0.246 USD/s  auto, 4 s",
    ]
