"""The options of a recipe as options of ``graphseq train RECIPE``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..recipes import Recipe, all_recipes, find_recipe
from ..train import Machine, Option

__all__ = ["TrainCommand", "extended", "with_recipe"]


class TrainCommand(TyperCommand):
    """`train`, whose help lists the options of the named recipe, or the recipes if none is named."""

    recipe: Recipe | None = None

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the recipe's options first, then those common to all runs."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        fields = () if self.recipe is None else type(self.recipe).model_fields
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                (own if parameter.name in fields else common).append(record)
        if self.recipe is None:
            sections = {"Options": common}
            sections["Recipes (train RECIPE --help lists the options of one)"] = [
                (name, recipe.summary) for name, recipe in all_recipes().items()
            ]
        else:
            sections = {f"Options of {self.recipe.name}": own, "Options of every run": common}
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def with_recipe(command: Any, train: Callable[..., None], words: Sequence[str]) -> Any:
    """Return the command of the function `train`, with the options of the recipe named in its words, if any.

    Raises:
        GraphError: there is no such recipe.
    """
    name = _recipe_name(command, words)
    if name is None:
        return command
    recipe = find_recipe(name)
    context = command.context_settings | {"token_normalize_func": lambda name: name.replace("_", "-")}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command("train", cls=TrainCommand, context_settings=context)(extended(train, recipe))
    made: Any = typer.main.get_command(app)
    made.recipe = recipe
    return made


def _recipe_name(command: Any, words: Sequence[str]) -> str | None:
    """Return the word that names a recipe: the first one that is neither an option nor the value of one."""
    values = {name for option in command.params if not getattr(option, "is_flag", True) for name in option.opts}
    bare = [word for before, word in zip(["", *words], words, strict=False) if word[:1] != "-" and before not in values]
    known = [word for word in bare if word in all_recipes() or ":" in word]  # --epochs 3 RECIPE
    return next(iter(known or bare), None)


def extended(train: Callable[..., None], recipe: Recipe | None = None) -> Callable[..., None]:
    """Return the function with a keyword for each option of a recipe and of a machine.

    The former are values of its ``settings``, the latter its ``machine``.
    """
    signature = inspect.signature(train, eval_str=True)
    kept = [parameter for name, parameter in signature.parameters.items() if name != "machine"]
    machine = Machine().described()
    taken = {*signature.parameters, *Machine.model_fields}
    own = [] if recipe is None else [option for option in recipe.described() if option.name not in taken]

    @functools.wraps(train)
    def command(**given: Any) -> None:
        def texts(options: Sequence[Option]) -> dict[str, str]:
            values = {option.name: given.pop(option.name) for option in options}
            return {name: str(value) for name, value in values.items() if value is not None}

        settings = [*(given["settings"] or ()), *(f"{name}={text}" for name, text in texts(own).items())]
        train(**given | {"settings": settings, "machine": texts(machine)})

    added = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(option))
        for option in [*own, *machine]
    ]
    command.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*kept, *added]}
    return command


def _annotation(option: Option) -> Any:
    """Return an option as Typer declares it: a text, which the recipe reads and checks, or a flag."""
    name = f"--{option.name.replace('_', '-')}"
    help = f"{option.help[:1].upper()}{option.help[1:]}."
    if isinstance(option.value, bool):
        help = f"{help} [default: {'on' if option.value else 'off'}]"
        return Annotated[bool | None, typer.Option(f"{name}/--no-{name[2:]}", show_default=False, help=help)]
    metavar = "N" if isinstance(option.value, int) else "X" if isinstance(option.value, float) else "TEXT"
    if " or " in option.kind:
        metavar = option.kind.replace(" or ", "|").replace(", ", "|")
    default = f"default: {option.value}" if option.value != "" else ""
    if facts := "; ".join(filter(None, [default, option.limits])):
        help = f"{help} [{facts}]"
    return Annotated[str | None, typer.Option(name, metavar=metavar, show_default=False, help=help)]
