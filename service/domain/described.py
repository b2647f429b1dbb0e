"""Field descriptions of TypedDicts: the string below a field is the field's description in the OpenAPI document."""

from typing import Final

from pydantic import ConfigDict, with_config

#: Decorator of a TypedDict. pydantic reads the strings of the decorated class only, not those of its bases.
described: Final = with_config(ConfigDict(use_attribute_docstrings=True))
