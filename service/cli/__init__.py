"""``seedance-gateway``: the command line."""

from service import gc_tuning

gc_tuning.collect_rarely()  # before anything else is imported

import os  # noqa: E402
import sys  # noqa: E402

from service.cli.main import app  # noqa: E402

_WRONG_USAGE = 2


def main() -> None:
    """Run a command. A file or folder that cannot be used is one line on stderr, and exit code 1."""
    _open_closed_outputs()
    _refuse_other_encodings()
    try:
        app()
    except OSError as error:
        name = "" if error.filename is None else f"{error.filename}: "
        print(f"{name}{error.strerror or error}.", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _open_closed_outputs() -> None:
    """Discard what is printed to a stream that the caller has closed, for which Python has None."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _refuse_other_encodings() -> None:
    """Exit 2 for an argument that is not UTF-8: neither JSON nor Redis can hold its bytes."""
    for argument in sys.argv[1:]:
        if not argument.isascii() and (wrong := argument.encode(errors="replace").decode()) != argument:
            print(f"The argument {wrong!r} is not UTF-8.", file=sys.stderr)  # noqa: T201
            sys.exit(_WRONG_USAGE)


__all__ = ["app", "main"]
