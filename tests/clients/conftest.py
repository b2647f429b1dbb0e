"""One stack for all programs of others. ``make clients`` runs this folder; ``make test`` does not.

The programs are installed by name and version below ``build/clients``: Python packages from ``requirements.txt``,
npm packages from ``package.json`` of each folder here. They change only host and key.
"""

from collections.abc import Iterator

import pytest

from service.cli.dev.stack import Stack
from tests.e2e.conftest import OVERRIDES


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Return a stack with every model."""
    with Stack(overrides={**OVERRIDES, "models": ("*",)}) as running:
        yield running
