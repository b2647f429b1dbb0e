"""Settings of the models that the deployment serves."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field


class ModelSettings(BaseModel):
    models: Annotated[
        tuple[str, ...] | None,
        Field(
            min_length=1,
            description="Ids of the models that callers may name, `*` for all that the gateway can serve; "
            "`GATEWAY_FAL_MODEL` is always one of them. Unset: those that the files of models enable; in this release, "
            "Seedance 2.0 image-to-video.",
        ),
    ] = None
    models_file: Annotated[
        Path | None,
        Field(description="TOML file with models that are added to those of this release, or change them."),
    ] = None
