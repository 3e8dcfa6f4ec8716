"""Options: pydantic models that read text as well as values, and whose errors are :class:`~graphseq.GraphError`."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import GraphError, Words, expected

__all__ = ["Option", "Options", "nearest"]


class Options(BaseModel):
    """Base class of sets of options: immutable, with checked types and limits, and a line of help each.

    A subclass that only changes a default (``epochs: int = 5``) keeps the help and the limits of its base class.

    Raises:
        GraphError: there is no such option, or a value is of another type or out of its limits.

    >>> from pydantic import Field
    >>> class Settings(Options):
    ...     epochs: int = Field(default=10, ge=1, description="passes over the data")
    >>> Settings(epochs=5).parse({"epochs": "20"})
    Settings(epochs=20)
    >>> Settings(epoch=5)
    Traceback (most recent call last):
        ...
    graphseq.errors.GraphError: `epoch`: expected the name of an option, got 'epoch'; did you mean 'epochs'?
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    if not TYPE_CHECKING:  # type checkers derive the signature from the fields

        def __init__(self, /, **values: Any) -> None:
            """Check the values: numbers must be numbers."""
            self._validate(values, strict=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Give fields with another default the help and the limits of the field that they override."""
        changed = {}
        for name, field in cls.model_fields.items():
            bases = (getattr(base, "__pydantic_fields__", {}).get(name) for base in cls.__mro__[1:])
            inherited = next(filter(None, bases), None)
            if inherited is not None and inherited is not field and field.description is None:
                same = field.annotation == inherited.annotation
                changed[name] = new = copy.copy(inherited if same else field)  # limits are those of the type
                new.default, new.description = field.default, inherited.description
        if changed:
            cls.__pydantic_fields__.update(changed)
            cls.model_rebuild(force=True)

    def _validate(self, values: Mapping[str, Any], *, strict: bool) -> None:
        try:
            self.__pydantic_validator__.validate_python(dict(values), strict=strict, self_instance=self)
        except ValidationError as error:
            raise _graph_error(type(self), error) from None

    def _with(self, values: Mapping[str, Any], *, strict: bool) -> Self:
        made = self.model_copy()
        made._validate({**dict(self), **values}, strict=strict)
        object.__setattr__(made, "__pydantic_private__", self.__pydantic_private__)  # such as a recipe's name
        return made

    def replace(self, **options: Any) -> Self:
        """Return a copy in which some options have other values; errors are those of the class."""
        return self._with(options, strict=True)

    def parse(self, texts: Mapping[str, str]) -> Self:
        """Return a copy in which some options are parsed from texts; errors as above."""
        return self._with(texts, strict=False)

    def described(self) -> list[Option]:
        """Return the options in the order of their declaration, with their values in this object."""
        schemas = type(self).model_json_schema()["properties"]
        return [
            Option(name, getattr(self, name), _kind(schema), _limits(schema), schema.get("description", ""))
            for name, schema in schemas.items()
        ]


class Option(NamedTuple):
    """An option: its name, its value, descriptions of its type with limits and of the limits alone, its help."""

    name: str
    value: Any
    kind: str
    limits: str
    help: str


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a suggestion for the end of an error message: the nearest of some names, else all of them."""
    names = list(names)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"


def _graph_error(cls: type[Options], error: ValidationError) -> GraphError:
    """Return pydantic's first error in the library's wording."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, GraphError):  # raised by a validator of ours
        return cause
    name = str(first["loc"][0]) if first["loc"] else cls.__name__
    if first["type"] == "extra_forbidden":
        return expected(name, "the name of an option", Words(f"{name!r}{nearest(name, cls.model_fields)}"))
    if first["type"] == "missing":
        return expected(name, "a value", Words("none"))
    schema = cls.model_json_schema()["properties"].get(name)
    what = first["msg"] if cause is not None or schema is None else _kind(schema)
    return expected(name, what, first["input"])


_TYPES = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "true or false", "null": "none"}
_LIMITS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def _kind(schema: Mapping[str, Any]) -> str:
    """Describe the values that a JSON schema admits.

    >>> _kind({"type": "number", "minimum": 0, "maximum": 1}), _kind({"enum": ["a", "b", "c"]})
    ('a number from 0 to 1', 'a, b or c')
    """
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        *others, last = map(str, schema["enum"])
        return f"{', '.join(others)} or {last}"
    word = _TYPES.get(schema.get("type", ""), str(schema.get("const", schema.get("type", "a value"))))
    limits = _limits(schema)
    return f"{word} {'of ' * limits.startswith('at')}{limits}".rstrip()


def _limits(schema: Mapping[str, Any]) -> str:
    if {"minimum", "maximum"} <= schema.keys():
        return f"from {schema['minimum']:g} to {schema['maximum']:g}"
    if {"minimum", "exclusiveMaximum"} <= schema.keys():
        return f"from {schema['minimum']:g} to below {schema['exclusiveMaximum']:g}"
    return " ".join(f"{limit} {schema[key]:g}" for key, limit in _LIMITS.items() if key in schema)
