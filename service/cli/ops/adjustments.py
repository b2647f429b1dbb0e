"""``adjust``: the use case and view of ``/admin/v1/adjustments``."""

import json
from typing import Any

from service.api.admin.adjustments import AdjustmentView, adjusted
from service.cli.ops.session import Command, with_runtime
from service.cli.output import show
from service.domain.adjustment import ADJUSTMENT
from service.domain.json_body import parse
from service.domain.operator import Role
from service.runtime import Runtime


def adjust(fields: dict[str, Any]) -> None:
    body = json.dumps(fields).encode()

    async def work(runtime: Runtime) -> AdjustmentView:
        return await adjusted(runtime, parse(ADJUSTMENT, body))

    act = Command(action="adjust_cost", role=Role.ADMIN, target=fields["generation_id"], reason=fields["reason"])
    show(with_runtime(work, act=act))
