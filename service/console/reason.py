"""The reason in the form of an action."""

import json

from service.console.visit import Visit
from service.domain.json_body import parse
from service.domain.reason import REASON


def reason_of(visit: Visit) -> str:
    """Return the reason. Raises Invalid."""
    return parse(REASON, json.dumps({"reason": visit.form.text("reason")}).encode()).reason
