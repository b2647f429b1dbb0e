"""``console-login``: a link that logs in to the console once, for operators with access to Redis."""

from typing import Final

import typer

from service.cli.ops.session import Command, local_user, with_runtime
from service.domain.actor import ActorKind
from service.domain.console_session import LINK_LIFETIME, Subject
from service.domain.operator import Role
from service.runtime import Runtime

_LOCAL_URL: Final = "http://127.0.0.1:8080"
_MINUTES: Final = int(LINK_LIFETIME.total_seconds() // 60)


def console_login(url: str | None) -> None:
    act = Command(action="create_login_link", role=Role.VIEWER)
    typer.echo(with_runtime(lambda runtime: login_link(runtime, url), act=act))
    typer.echo(f"It logs in once, within {_MINUTES} minutes.", err=True)


async def login_link(runtime: Runtime, url: str | None = None, *, name: str | None = None) -> str:
    """Return a link for the operator of GATEWAY_OPERATOR_TOKEN; without it for the local user, who becomes admin.

    ``name``: of the local user, by default that of this machine.
    """
    base = (url or runtime.settings.public_url or _LOCAL_URL).rstrip("/")
    token, login = runtime.settings.operator_token, runtime.console.login
    subject = Subject(ActorKind.LOCAL, name or local_user())
    if token is not None:
        subject = await login.subject_of(token.get_secret_value())
    return f"{base}/console/login/link?ticket={await login.issue_ticket(subject)}"
