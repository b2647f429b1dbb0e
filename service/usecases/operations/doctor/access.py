"""Checks of operators: whether there are any, and whether their tokens end soon."""

from datetime import datetime, timedelta
from typing import Final

from service.domain.operator import Operator
from service.usecases.operations.doctor.finding import Finding, ok, warn
from service.usecases.operators.operators import Operators

_SOON: Final = timedelta(days=14)
#: Operators whose tokens are read.
_MOST: Final = 200
_NAMED: Final = 5


async def operators(service: Operators, now: datetime) -> list[Finding]:
    found = [operator for operator in await service.page(limit=_MOST) if operator.disabled_at is None]
    if not found:
        remedy = "Create one for each person: `seedance-gateway operators create NAME --role admin`."
        return [warn("operators", "there is none: the audit trail cannot name who acts with the admin token", remedy)]
    return [ok("operators", f"{len(found)} active"), await _tokens(service, found, now)]


async def _tokens(service: Operators, found: list[Operator], now: datetime) -> Finding:
    ending = []
    for operator in found:
        for token, _ in await service.list_tokens(operator.id):
            if token.is_valid(now) and not token.rotated and token.expires_at is not None:
                ending += [f"{operator.name} ({token.id})"] if token.expires_at < now + _SOON else []
    if not ending:
        return ok("operators' tokens", "none expires within 14 days")
    more = f" and {len(ending) - _NAMED} more" if len(ending) > _NAMED else ""
    detail = f"expire within 14 days: {', '.join(ending[:_NAMED])}{more}"
    return warn("operators' tokens", detail, "Create new ones: `seedance-gateway operators tokens create OPERATOR_ID`.")
