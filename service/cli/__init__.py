"""``seedance-gateway``: the command line."""

from service.cli.main import app


def main() -> None:
    app()


__all__ = ["app", "main"]
