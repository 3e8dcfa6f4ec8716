"""Options of a dataclass: a default and a line of help each, and values read from text, checked."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from ..errors import GraphError, Words, expected

__all__ = ["Option", "describe_options", "from_text", "nearest", "option", "validate"]

_T = TypeVar("_T")
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def option(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    """Declare a field of an options dataclass.

    Args:
        default: its value where nobody says another.
        help: one line, in lower case.
        low: the least value admitted.
        high: the greatest value admitted.

    >>> @dataclass(frozen=True)
    ... class Settings:
    ...     epochs: int = option(10, "passes over the data", low=1)
    >>> from_text(Settings(), {"epochs": "20"})
    Settings(epochs=20)
    """
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class Option:
    """What is known of an option: name, type, default in this object, help and limits."""

    name: str
    type: Any
    value: Any
    help: str
    low: float | None
    high: float | None

    @property
    def kind(self) -> str:
        """Return the type in words."""
        if typing.get_origin(self.type) is Literal:
            return " or ".join(typing.get_args(self.type))
        words = [_word(part) for part in _alternatives(self.type)]
        return " or ".join(words) + self._range()

    def _range(self) -> str:
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            return f" of at least {self.low:g}"
        return f" from {0 if self.low is None else self.low:g} to {self.high:g}"


def describe_options(settings: Any) -> list[Option]:
    """Return the options of an object whose class is a dataclass, in the order of their declaration.

    A class that only changes a default (``epochs: int = 5``) keeps the help and the limits of its base class.
    """
    hints = typing.get_type_hints(type(settings))
    found = []
    for field in dataclasses.fields(settings):
        meta = _inherited(type(settings), field.name)
        value = getattr(settings, field.name)
        found.append(Option(field.name, hints[field.name], value, meta["help"], meta["low"], meta["high"]))
    return found


def _inherited(owner: type, name: str) -> Mapping[str, Any]:
    for base in owner.__mro__:
        field = base.__dict__.get("__dataclass_fields__", {}).get(name)
        if field is not None and field.metadata:
            return typing.cast(Mapping[str, Any], field.metadata)
    return {"help": "", "low": None, "high": None}


def from_text(settings: _T, values: Mapping[str, str]) -> _T:
    """Return the settings with some options changed to what their texts say.

    Raises:
        GraphError: there is no such option (the nearest is suggested), or the text is no value of its type.

    >>> @dataclass(frozen=True)
    ... class Settings:
    ...     epochs: int = option(10, "passes over the data", low=1)
    >>> from_text(Settings(), {"epoch": "3"})
    Traceback (most recent call last):
        ...
    graphseq.errors.GraphError: `epoch`: expected the name of an option, got 'epoch'; did you mean 'epochs'?
    """
    options = {option.name: option for option in describe_options(settings)}
    changed = {}
    for name, text in values.items():
        if name not in options:
            raise expected(name, "the name of an option", Words(f"{name!r}{nearest(name, options)}"))
        if not isinstance(text, str):
            raise expected(name, "a text", text)
        changed[name] = _value(options[name], text)
    made: _T = dataclasses.replace(settings, **changed)  # type: ignore[type-var]
    validate(made)
    return made


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the end of an error's sentence: the nearest of some names, else all of them."""
    names = list(names)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"


def validate(settings: Any) -> None:
    """Check the types and limits of all options.

    Raises:
        GraphError: one is of another type or out of its limits.
    """
    for option in describe_options(settings):
        if not any(_is(option.value, part) for part in _alternatives(option.type)):
            raise expected(option.name, option.kind, option.value)
        if isinstance(option.value, int | float) and not isinstance(option.value, bool):
            low = -math.inf if option.low is None else option.low
            high = math.inf if option.high is None else option.high
            if not low <= option.value <= high:
                raise expected(option.name, option.kind, option.value)


def _alternatives(type_: Any) -> tuple[Any, ...]:
    union = typing.get_origin(type_) in (typing.Union, types.UnionType)
    return typing.get_args(type_) if union else (type_,)


def _is(value: Any, type_: Any) -> bool:
    if typing.get_origin(type_) is Literal:
        return value in typing.get_args(type_)
    if type_ is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if type_ is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if type_ is type(None):
        return value is None
    return isinstance(value, typing.get_origin(type_) or type_)


def _value(option: Option, text: str) -> Any:
    for part in _alternatives(option.type):
        try:
            value = _read(text, part)
        except ValueError:
            continue
        if _is(value, part):
            return value
    raise expected(option.name, option.kind, text)


def _read(text: str, type_: Any) -> Any:
    if type_ is bool:
        if text.lower() not in _TRUTH:
            raise ValueError
        return _TRUTH[text.lower()]
    if type_ is type(None):
        if text.lower() not in ("none", ""):
            raise ValueError
        return None
    if typing.get_origin(type_) is Literal:
        return next((choice for choice in typing.get_args(type_) if str(choice) == text), text)
    if type_ in (int, float, str):
        return type_(text)
    raise GraphError(f"an option of type {type_} cannot be set from text")


def _word(type_: Any) -> str:
    if typing.get_origin(type_) is Literal:
        return " or ".join(map(str, typing.get_args(type_)))
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false", type(None): "none"}
    return names.get(type_, getattr(type_, "__name__", str(type_)))
