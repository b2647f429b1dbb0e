"""Forms that change something: fields with their present values, and after a refused preview the fault of each."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.console.form import Form
from service.console.visit import Page
from service.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A field of a form. With ``options`` (value and text) it is a choice, of several with ``is_multiple``."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    options: Sequence[tuple[str, str]] = ()
    is_multiple: bool = False
    is_long: bool = False
    """Several lines of text."""
    chosen: Sequence[str] = ()
    """The chosen values of a field with ``is_multiple``."""
    fault: str = ""

    def filled(self, form: Form) -> "Input":
        """Return this field with what the form has."""
        return replace(self, value=form.text(self.name), chosen=form.all(self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Editing:
    """A form whose button leads to a preview."""

    action: str
    """Path of the preview below ``/console``."""
    back: str
    inputs: Sequence[Input]
    notes: Sequence[str] = ()
    fault: str = ""
    """What is wrong with the form as a whole."""


def editing_page(title: str, editing: Editing, *, parents: tuple[tuple[str, str], ...] = (), status: int = 200) -> Page:
    return Page("editing.html", title, {"editing": editing}, parents=parents, status=status)


def refused(editing: Editing, form: Form, error: Invalid) -> Editing:
    """Return the form as it was sent, each fault at its field. Faults of no field are shown above."""
    faults = {each.pointer: each.detail for each in error.errors}
    inputs = [
        replace(
            each.filled(form),
            fault="; ".join(dict.fromkeys(text for pointer, text in faults.items() if _names(pointer, each.name))),
        )
        for each in editing.inputs
    ]
    rest = [
        f"{pointer.strip('/') or 'The form'}: {text}"
        for pointer, text in faults.items()
        if not any(_names(pointer, each.name) for each in editing.inputs)
    ]
    return replace(editing, inputs=inputs, fault="; ".join(rest))


def _names(pointer: str, name: str) -> bool:
    return name in pointer.split("/")


def differences(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    """Return name, value before and value after of each field that differs; None: it does not exist."""
    old, new = before or {}, after or {}
    names = dict.fromkeys((*old, *new))
    return [
        (label(name), shown(old.get(name)), shown(new.get(name))) for name in names if old.get(name) != new.get(name)
    ]


def label(name: str) -> str:
    """Return the name of a field of the API as a label."""
    text = name.removesuffix("_usd").removesuffix("_seconds").replace("_", " ")
    unit = " (US dollars)" if name.endswith("_usd") else " (seconds)" if name.endswith("_seconds") else ""
    return f"{text[:1].upper()}{text[1:]}{unit}"


def shown(value: Any) -> str:
    """Return a value of the API as a person reads and writes it in a field."""
    readers: dict[type, Callable[[Any], str]] = {
        bool: lambda flag: "yes" if flag else "no",
        list: lambda items: ", ".join(map(str, items)),
        tuple: lambda items: ", ".join(map(str, items)),
        dict: json.dumps,
        type(None): lambda _: "",
    }
    return readers.get(type(value), str)(value)
