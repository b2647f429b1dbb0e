"""Field descriptions of TypedDicts: the string below a field is the field's description in the OpenAPI document."""

import ast
import inspect
import sys
from functools import cache
from typing import Annotated, TypeVar

from pydantic import Field

_TypedDict = TypeVar("_TypedDict", bound=type)


def described(cls: _TypedDict) -> _TypedDict:
    """Decorate a TypedDict: annotate each field with the string below it.

    pydantic's ``use_attribute_docstrings`` does the same, but parses the module's source for each class, again in every
    schema that contains the class: that took a quarter of the gateway's import time.
    """
    annotations = cls.__annotations__
    for name, text in _strings(cls.__module__)[cls.__name__].items():
        annotations[name] = Annotated[annotations[name], Field(description=text)]
    return cls


@cache
def _strings(module: str) -> dict[str, dict[str, str]]:
    """Return the strings below the fields of each class of a module."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
    return found
