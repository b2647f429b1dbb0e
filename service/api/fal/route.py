"""Routes below ``/fal``: with or without a trailing slash, for model ids that contain slashes."""

import re
from typing import Any, Final

from service.api.http.raw_route import Endpoint, RawRoute

_ENDPOINT: Final = "(?P<endpoint>.*)"
#: The URL of a request never matches the route of a model, whatever its id contains.
_MODEL: Final = "(?P<endpoint>(?!.*/requests/).*?)"


class FalRoute(RawRoute):
    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        pattern = self.path_regex.pattern.removesuffix("$") + "/?$"
        self.path_regex = re.compile(pattern if "/requests/" in path else pattern.replace(_ENDPOINT, _MODEL))
