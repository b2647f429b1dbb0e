"""``seedance-gateway complete``: render a draft again at 1080p."""

from typing import Annotated

import typer

from service.cli.client.options import (
    DEFAULT_URL,
    AsJson,
    Detach,
    Key,
    Output,
    Url,
    checked_key,
    checked_output,
    checked_url,
)


def complete(
    draft: Annotated[str, typer.Argument(help="Id of the draft's generation, gen_...")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    codec: Annotated[str | None, typer.Option(help="auto, H264 or H265. Default: fal chooses.")] = None,
    max_cost: Annotated[
        str | None, typer.Option(help="US dollars; the gateway refuses a completion that may cost more.")
    ] = None,
    output: Output = None,
    detach: Detach = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for the video; then the completion is canceled.")
    ] = 3600.0,
) -> None:
    """Render a draft again at 1080p: create the completion, wait, download. Ctrl-C cancels the completion.

    Exit codes: 0 with a video; 1 without one (stderr has the reason); 2 for a wrong option; 130 after an interrupt.
    """
    from service.cli.client import create_video  # noqa: PLC0415  (the other commands need no HTTP client)

    fields = {"codec": codec, "max_cost_usd": max_cost}
    create_video.create(
        create_video.VideoRequest(
            url=checked_url(url),
            key=checked_key(key),
            fields={name: value for name, value in fields.items() if value is not None},
            completes=_checked_id(draft),
            output=checked_output(output),
            timeout=timeout,
            detach=detach,
            as_json=as_json,
        )
    )


def _checked_id(draft: str) -> str:
    from service.domain import ids  # noqa: PLC0415

    if not ids.is_id(ids.GENERATION, draft):
        raise typer.BadParameter("give the id of a generation: gen_ and 26 characters")
    return draft
