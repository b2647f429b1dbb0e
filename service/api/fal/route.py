"""A route as fal's clients use them: with or without a slash at the end."""

import re
from typing import Any

from service.api.plain import Endpoint, PlainRoute


class FalRoute(PlainRoute):
    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + "/?$")
