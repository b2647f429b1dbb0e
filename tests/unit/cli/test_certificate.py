"""``serve --certificate``: files that the server cannot use are named, without a traceback."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox.certificate import write_certificate
from service.cli import app, processes


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    certificate, key = write_certificate(tmp_path / "one")
    _, other_key = write_certificate(tmp_path / "two")
    junk, both = tmp_path / "junk.pem", tmp_path / "both.pem"
    junk.write_text("no certificate")
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return {"certificate": certificate, "key": key, "other": other_key, "junk": junk, "both": both}


@pytest.mark.parametrize(
    ("certificate", "key", "named"),
    [
        ("certificate", None, "--certificate-key"),
        ("junk", None, "--certificate"),
        ("certificate", "other", "--certificate-key"),
        ("certificate", "junk", "--certificate-key"),
        ("junk", "key", "--certificate-key"),
        (None, "key", "--certificate"),
    ],
)
def test_serve_unusable_certificate_is_named(
    files: dict[str, Path], certificate: str | None, key: str | None, named: str
) -> None:
    options = []
    if certificate is not None:
        options += ["--certificate", str(files[certificate])]
    if key is not None:
        options += ["--certificate-key", str(files[key])]
    result = CliRunner().invoke(app, ["serve", "--port", "0", *options])
    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("certificate", "key"), [("certificate", "key"), ("both", None), (None, None)])
def test_serve_usable_certificate_is_accepted(files: dict[str, Path], certificate: str | None, key: str | None) -> None:
    processes._check_certificate(
        None if certificate is None else files[certificate], None if key is None else files[key]
    )
