"""``seedance-gateway``: the command line."""

from service import gc_tuning

gc_tuning.collect_rarely()  # before anything else is imported

from service.cli.main import app  # noqa: E402


def main() -> None:
    app()


__all__ = ["app", "main"]
