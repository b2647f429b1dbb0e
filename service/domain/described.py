"""Descriptions of fields in the OpenAPI document: the string below a field describes the field.

pydantic's ``use_attribute_docstrings`` parses the source of each class at import. Here sources are parsed when the
document is generated, which most processes never do.
"""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, WithJsonSchema

_TypedDict = TypeVar("_TypedDict", bound=type)

Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time as text: RFC 3339."""
Date = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
"""A day as text: ``2026-01-31``."""


def describe(schema: dict[str, Any], cls: type) -> None:
    """Describe the properties of the JSON schema of ``cls``: a ``json_schema_extra`` of a model's configuration."""
    for base in _with_bases(cls):
        for name, text in _strings(base.__module__).get(base.__name__, {}).items():
            if name in schema["properties"]:
                schema["properties"][name].setdefault("description", text)


def described(cls: _TypedDict) -> _TypedDict:
    """Decorate a TypedDict whose fields have descriptions."""
    cls.__pydantic_config__ = ConfigDict(json_schema_extra=describe)  # type: ignore[attr-defined]
    return cls


def _with_bases(cls: type) -> list[type]:
    """Return the class and its bases, also theirs. A TypedDict has its bases in an attribute of its own."""
    bases = getattr(cls, "__orig_bases__", ())
    return [*cls.__mro__, *bases, *(found for base in bases if isinstance(base, type) for found in _with_bases(base))]


@cache
def _strings(module: str) -> dict[str, dict[str, str]]:
    """Return the strings below the fields of each class of a module."""
    if not module.startswith("service."):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, below in pairwise(node.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
    return found
