"""``seedance-gateway models``: the models that an API key may use."""

import json
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any

import typer

from service.cli.client.options import DEFAULT_URL, Key, Url, checked_key, checked_url

_SECONDS = 60.0


def models(
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,  # noqa: FBT002
) -> None:
    """List the models that your tenant may use: id, kind, price per second, durations.

    The first one is the default. The price is the most US dollars that a create holds per second at a resolution.
    """
    from service.cli.client.deadline import ApiFailed, Deadline  # noqa: PLC0415  (the other commands need no HTTP client)
    from service.cli.client.http import Client  # noqa: PLC0415
    from service.cli.client.progress import plain  # noqa: PLC0415

    try:
        with Client(checked_url(url), checked_key(key), Deadline(_SECONDS)) as client:
            found = client.models()
    except ApiFailed as error:
        typer.echo(plain(str(error)), err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps(found) if as_json else "\n".join(plain(_line(model)) for model in found))


def _line(model: dict[str, Any]) -> str:
    prices = ", ".join(f"{price['resolution']} {_rounded(price)} USD/s" for price in model["prices"])
    return f"{model['id']}  {model['kind']}  {prices or 'no resolution'}  {', '.join(model['durations'])} s"


def _rounded(price: dict[str, Any]) -> str:
    """Return the held price with 3 decimals, rounded up."""
    return str(Decimal(price["held_second_usd"]).quantize(Decimal("0.001"), ROUND_CEILING))
