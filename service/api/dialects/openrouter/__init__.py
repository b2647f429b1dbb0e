"""OpenRouter's API of videos below ``/openrouter/api/v1``."""

from typing import Final

PREFIX: Final = "/openrouter"
VIDEOS: Final = f"{PREFIX}/api/v1/videos"
