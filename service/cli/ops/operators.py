"""``operators``: the use cases and views of ``/admin/v1/operators``."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from service.api.admin.operator_schemas import NEW_OPERATOR, NEW_TOKEN, OPERATOR_CHANGE, operator_view, token_view
from service.cli.ops.session import Command, parsed, with_runtime
from service.cli.output import Columns, JsonOption, show, show_list
from service.domain.operator import Role
from service.usecases.operators.operators import MOST_OPERATORS

operators = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Create, list, change and disable operators, and their tokens."
)
tokens = typer.Typer(no_args_is_help=True, add_completion=False, help="Create, list, rotate and revoke tokens.")
operators.add_typer(tokens, name="tokens")

_OperatorId = Annotated[str, typer.Argument(help="The operator's id, opr_…")]
_TokenId = Annotated[str, typer.Argument(help="The token's id: the part between the two underscores.")]
_OPERATOR_COLUMNS: Final[Columns] = {
    "id": lambda operator: operator["id"],
    "name": lambda operator: operator["name"],
    "role": lambda operator: operator["role"],
    "disabled": lambda operator: operator["disabled_at"],
    "created": lambda operator: operator["created_at"],
}
_TOKEN_COLUMNS: Final[Columns] = {
    "id": lambda token: token["id"],
    "name": lambda token: token["name"],
    "created": lambda token: token["created_at"],
    "expires": lambda token: token["expires_at"],
    "revoked": lambda token: token["revoked_at"],
    "last used": lambda token: token["last_used_at"],
}


@operators.command("create")
def create_operator(
    name: Annotated[str, typer.Argument(help="Name of the person or program.")],
    role: Annotated[Role, typer.Option(help="What the operator may do.")],
) -> None:
    """Create an operator; create a token for it afterwards."""
    new = parsed(NEW_OPERATOR, {"name": name, "role": role.value})
    act = Command(action="create_operator", role=Role.ADMIN)
    show(operator_view(with_runtime(lambda runtime: runtime.operators.service.create(new.name, new.role), act=act)))


@operators.command("list")
def list_operators(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List all operators, oldest first."""
    found = with_runtime(lambda runtime: runtime.operators.service.page(limit=MOST_OPERATORS), role=Role.ADMIN)
    show_list(map(operator_view, found), _OPERATOR_COLUMNS, as_json=as_json)


@operators.command("show")
def show_operator(operator_id: _OperatorId) -> None:
    """Print an operator."""
    found = with_runtime(lambda runtime: runtime.operators.service.get(operator_id), role=Role.ADMIN)
    show(operator_view(found))


@operators.command("change")
def change_operator(
    operator_id: _OperatorId,
    name: Annotated[str | None, typer.Option(help="New name.")] = None,
    role: Annotated[Role | None, typer.Option(help="New role; it acts at once.")] = None,
) -> None:
    """Change the name or the role of an operator."""
    given = {"name": name, "role": None if role is None else role.value}
    change = parsed(OPERATOR_CHANGE, {field: value for field, value in given.items() if value is not None})
    act = Command(action="change_operator", role=Role.ADMIN, target=operator_id)
    changed = with_runtime(
        lambda runtime: runtime.operators.service.change(operator_id, name=change.name, role=change.role), act=act
    )
    show(operator_view(changed))


@operators.command("disable")
def disable_operator(operator_id: _OperatorId) -> None:
    """Refuse all tokens and logins of an operator, at once."""
    act = Command(action="disable_operator", role=Role.ADMIN, target=operator_id)
    show(operator_view(with_runtime(lambda runtime: runtime.operators.service.disable(operator_id), act=act)))


@operators.command("enable")
def enable_operator(operator_id: _OperatorId) -> None:
    """Accept the tokens and logins of an operator again."""
    act = Command(action="enable_operator", role=Role.ADMIN, target=operator_id)
    show(operator_view(with_runtime(lambda runtime: runtime.operators.service.enable(operator_id), act=act)))


@tokens.command("create")
def create_token(
    operator_id: _OperatorId,
    name: Annotated[str, typer.Option(help="What the token is for.")] = "",
    expires_at: Annotated[
        str | None, typer.Option(help="When it stops working, like 2026-06-30T00:00:00Z. Default: never.")
    ] = None,
) -> None:
    """Create a token and print it. It cannot be shown again."""
    new = parsed(NEW_TOKEN, {"name": name, "expires_at": expires_at})
    act = Command(action="create_operator_token", role=Role.ADMIN, target=operator_id)
    made = with_runtime(
        lambda runtime: runtime.operators.service.create_token(operator_id, name=new.name, expires_at=new.expires_at),
        act=act,
    )
    show(token_view(made.token, text=made.text))


@tokens.command("list")
def list_tokens(operator_id: _OperatorId, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List an operator's tokens without their secrets."""
    found = with_runtime(
        lambda runtime: runtime.operators.service.list_tokens(operator_id), role=Role.ADMIN, own=operator_id
    )
    show_list((token_view(token, last_used_at=used) for token, used in found), _TOKEN_COLUMNS, as_json=as_json)


@tokens.command("rotate")
def rotate_token(
    operator_id: _OperatorId,
    token_id: _TokenId,
    overlap_hours: Annotated[float, typer.Option(min=0, max=720, help="Hours that the old token still works.")] = 24.0,
) -> None:
    """Replace a token: create and print a successor; the old token expires later."""
    overlap = timedelta(hours=overlap_hours)
    act = Command(action="rotate_operator_token", role=Role.ADMIN, target=token_id, own=operator_id)
    new = with_runtime(
        lambda runtime: runtime.operators.service.rotate_token(operator_id, token_id, overlap=overlap), act=act
    )
    show(token_view(new.token, text=new.text))


@tokens.command("revoke")
def revoke_token(operator_id: _OperatorId, token_id: _TokenId) -> None:
    """Revoke a token: it is refused at once."""
    act = Command(action="revoke_operator_token", role=Role.ADMIN, target=token_id, own=operator_id)
    revoked = with_runtime(lambda runtime: runtime.operators.service.revoke_token(operator_id, token_id), act=act)
    show(token_view(revoked))
