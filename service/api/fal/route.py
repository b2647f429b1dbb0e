"""A route as fal's clients use them: with or without a slash at the end, below models whose names have slashes."""

import re
from typing import Any, Final

from service.api.http.raw_route import Endpoint, RawRoute

_ENDPOINT: Final = "(?P<endpoint>.*)"
#: A request's URL is never taken for a model's, whatever its id pretends to be.
_MODEL: Final = "(?P<endpoint>(?!.*/requests/).*?)"


class FalRoute(RawRoute):
    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        pattern = self.path_regex.pattern.removesuffix("$") + "/?$"
        self.path_regex = re.compile(pattern if "/requests/" in path else pattern.replace(_ENDPOINT, _MODEL))
