"""``generations``: search, show and cancel generations of all tenants; the use cases and views of ``/admin/v1``."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer
from pydantic import BaseModel, TypeAdapter

from service.api.admin.generation_views import (
    GenerationDetailsView,
    GenerationRow,
    details_view,
    operators_view,
    row,
)
from service.cli.ops.session import Command, with_runtime
from service.cli.output import Columns, JsonOption, show, show_facts, show_list
from service.domain.failure import ErrorCode
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.reason import ACT_REASON
from service.domain.status import PublicStatus
from service.domain.timestamps import Moment, in_range

if TYPE_CHECKING:
    from service.runtime import Runtime

generations = typer.Typer(no_args_is_help=True, add_completion=False, help="Search, show and cancel generations.")

_Id = Annotated[str, typer.Argument(help="The generation's id, gen_…")]
_PAGE: Final = 100


class _Conditions(BaseModel):
    """The options of ``list``."""

    tenant_id: str | None
    status: PublicStatus | None
    error_code: ErrorCode | None
    model: str | None
    end_user_id: str | None
    end_user: str | None
    created_after: Moment | None
    created_before: Moment | None
    fal_request_id: str | None
    metadata: tuple[tuple[str, str], ...]


_CONDITIONS: Final = TypeAdapter(_Conditions)
_COLUMNS: Final[Columns] = {
    "id": lambda g: g["id"],
    "tenant": lambda g: g["tenant_name"] or g["tenant_id"],
    "status": lambda g: g["status"],
    "error": lambda g: g["error_code"],
    "model": lambda g: g["model"],
    "created": lambda g: g["created_at"],
    "finished": lambda g: g["finished_at"],
    "held USD": lambda g: g["held"],
    "settled USD": lambda g: g["settled"],
    "fal's request id": lambda g: g["fal_request_id"],
}
#: Fields that `show` prints first.
_FIELDS: Final = ("id", "tenant_id", "tenant_name", "status", "model", "end_user_id", "end_user", "fal_request_id")


@generations.command("list")
def list_generations(
    tenant: Annotated[str | None, typer.Option(help="Only generations of this tenant.")] = None,
    status: Annotated[PublicStatus | None, typer.Option(help="Only generations with this status.")] = None,
    error_code: Annotated[
        str | None, typer.Option(help="Only generations that failed with this error code.", metavar="CODE")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only generations of this model.")] = None,
    end_user_id: Annotated[
        str | None, typer.Option(help="Only generations of this end user, as the tenant names it; needs --tenant.")
    ] = None,
    end_user: Annotated[
        str | None, typer.Option(help="Only generations of the end user with this pseudonym; needs --tenant.")
    ] = None,
    created_after: Annotated[str | None, typer.Option(help="Created after, like 2026-01-31T09:30:00Z.")] = None,
    created_before: Annotated[str | None, typer.Option(help="Created before, like 2026-01-31T09:30:00Z.")] = None,
    fal_request_id: Annotated[str | None, typer.Option(help="Only the generation of this job of fal.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE that generations must have; needs --tenant; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most generations that are printed.")] = 50,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Search generations of all tenants, newest first. It prints nothing that end users wrote; `show` does."""
    given = {
        "tenant_id": tenant,
        "status": status,
        "error_code": error_code,
        "model": model,
        "end_user_id": end_user_id,
        "end_user": end_user,
        "created_after": created_after,
        "created_before": created_before,
        "fal_request_id": fal_request_id,
        "metadata": [_pair(text) for text in metadata or []],
    }
    rows, more = with_runtime(lambda runtime: _search(runtime, json.dumps(given).encode(), limit))
    show_list(rows, _COLUMNS, as_json=as_json)
    if more:
        typer.echo(f"There are more; the newest {len(rows)} are shown.", err=True)


async def _search(runtime: "Runtime", given: bytes, limit: int) -> tuple[list[GenerationRow], bool]:
    search, rows = runtime.operations.generations, list[GenerationRow]()
    conditions = parse(_CONDITIONS, given).model_dump()
    for name in ("created_after", "created_before"):
        conditions[name] = in_range(conditions[name], f"/{name}")
    wanted, after = await search.filter(**conditions), None
    while True:
        page = await search.page(wanted, limit=min(_PAGE, limit - len(rows)), after=after)
        rows += [row(found) for found in page.items]
        after = page.after
        if after is None or len(rows) == limit:
            return rows, after is not None


@generations.command("show")
def show_generation(generation_id: _Id, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Show a generation with its prompt, timeline, money and deliveries."""

    async def read(runtime: "Runtime") -> GenerationDetailsView:
        return details_view(await runtime.operations.generations.show(generation_id))

    view = with_runtime(read, act=Command(action="read_any_generation", role=Role.OPERATOR, target=generation_id))
    show_facts(view, _facts(view), as_json=as_json)


@generations.command("cancel")
def cancel_generation(
    generation_id: _Id, reason: Annotated[str, typer.Option(help="Why; it is logged, and the tenant does not see it.")]
) -> None:
    """Cancel a generation: at once while it is queued, otherwise by a request to fal. Its tenant gets the webhook."""
    body = json.dumps({"reason": reason}).encode()

    async def cancel(runtime: "Runtime") -> Any:
        given = parse(ACT_REASON, body)
        return operators_view(await runtime.operations.generations.cancel(generation_id, reason=given.reason))

    act = Command(action="cancel_any_generation", role=Role.OPERATOR, target=generation_id, reason=reason)
    show(with_runtime(cancel, act=act))


def _facts(view: GenerationDetailsView) -> list[tuple[str, object]]:
    fields = cast("dict[str, Any]", view)
    error = view["error"]
    facts: list[tuple[str, object]] = [(name, fields[name]) for name in _FIELDS]
    facts += [("held", view["held"]), ("settled", view["cost"]["actual"]), ("prompt", view["input"].get("prompt"))]
    facts += [("metadata", json.dumps(view["metadata"], ensure_ascii=False))]
    if error is not None:
        facts += [("error", f"{error['code']}: {error['message']}")]
    facts += [(moment["at"], moment["event"]) for moment in view["timeline"]]
    facts += [(line["at"], _ledger_text(line)) for line in view["ledger"]]
    facts += [(delivery["id"], _delivery_text(delivery)) for delivery in view["deliveries"]]
    return facts


def _delivery_text(delivery: Any) -> str:
    return f"{delivery['event']} {delivery['status']}, attempts: {delivery['attempt_count']}"


def _ledger_text(line: Any) -> str:
    why = f", {line['reason']}" if line["reason"] else ""
    return f"ledger {line['kind']}: held {line['held']}, spent {line['spent']}{why}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter("--metadata must be NAME=VALUE")
    return name, value
