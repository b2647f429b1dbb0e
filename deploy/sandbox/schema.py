"""Input schema of the model. The model checks it when it runs, not at submit."""

from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from sandbox.outcome import Outcome, detail, model_error


class ImageToVideo(BaseModel):
    """Ignores unknown fields, as fal's models do. `seed` is on the model's page, though not in its generated schema."""

    prompt: str
    image_url: str
    end_image_url: str | None = None
    resolution: Literal["480p", "720p", "1080p", "4k"] = "720p"
    duration: Literal["auto", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"] = "auto"
    aspect_ratio: Literal["auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"] = "auto"
    generate_audio: bool = True
    bitrate_mode: Literal["standard", "high"] = "standard"
    seed: int | None = None
    end_user_id: str | None = None


def check(given: Any) -> ImageToVideo | Outcome:
    try:
        return ImageToVideo.model_validate(given)
    except ValidationError as error:
        return model_error(*map(_detail, error.errors(include_url=False))).at_once()


def _detail(error: Any) -> dict[str, Any]:
    ctx = {name: str(value) for name, value in error.get("ctx", {}).items()}
    return detail(error["type"], error["msg"], ("body", *error["loc"]), ctx=ctx, given=error["input"])
