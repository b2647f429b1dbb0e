"""Check of the environment: variables that no setting reads."""

from collections.abc import Mapping

from service.config.unknown import unknown_variables
from service.usecases.operations.doctor.finding import Finding, ok, warn


def settings(environment: Mapping[str, str]) -> Finding:
    """Check that each ``GATEWAY_*`` variable is a setting. A misspelt one has no effect."""
    unknown = unknown_variables(environment)
    if unknown:
        remedy = "Correct or remove these variables: they have no effect."
        return warn("settings", f"unknown: {', '.join(map(str, unknown))}", remedy)
    return ok("settings", "every GATEWAY_ variable is a setting")
