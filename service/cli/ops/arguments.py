"""Arguments of several commands of operators."""

from typing import Annotated

import typer

from service.cli.ops.session import parsed
from service.domain.reason import ACT_REASON

TenantId = Annotated[str, typer.Argument(help="The tenant's id, ten_…")]
#: Of an act whose reason only operators read.
Reason = Annotated[str, typer.Option(help="Why, 500 characters at most, for operators.")]


def act_reason(reason: str) -> str:
    """Return the reason of an act. A wrong one ends the command with exit code 2."""
    return parsed(ACT_REASON, {"reason": reason}).reason
