"""The first lines of a process: its version and settings, and variables that no setting reads."""

import os

from service import build_info
from service.config.settings import Settings
from service.config.unknown import unknown_variables
from service.observability import log


def log_start(settings: Settings) -> None:
    """Log version and settings, and warn of unknown variables."""
    log.get(__name__).info("process_started", **build_info.describe(), settings=settings.describe())
    warn_of_unknown_variables()


def warn_of_unknown_variables() -> None:
    """Write one warning with the names of all ``GATEWAY_*`` variables that no setting reads, and never a value."""
    if unknown := unknown_variables(os.environ):
        remedy = "Correct or remove these variables: they have no effect."
        log.get(__name__).warning("settings_unknown", variables=[str(one) for one in unknown], remedy=remedy)
