"""The commands of ``graphseq``, and how their errors are reported."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any

import torch
import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import GraphError, ignore_deprecations
from .show import is_first, note

__all__ = ["app", "main"]

STOPPED = 130  # a shell's exit code for a program ended by Ctrl-C

_NO_MEMORY = ("can't allocate memory", "not enough memory", "Storage size calculation overflowed")  # torch's message


_MODULES = {
    "demo": "demo", "recipes": "recipes", "train": "train", "predict": "runs", "evaluate": "runs", "parse": "parse",
    "sentiment": "sentiment", "doctor": "doctor",
}  # fmt: skip


def _command(name: str) -> Any:
    """Import a command; the function has its name."""
    function = getattr(import_module(f".{_MODULES[name]}", __package__), name)
    made = typer.Typer(add_completion=False, rich_markup_mode=None)
    if name == "train":
        from .recipe_options import TrainCommand, extended

        made.command(name, cls=TrainCommand, no_args_is_help=True)(extended(function))
    else:
        made.command(name)(function)
    return typer.main.get_command(made)


class _Commands(TyperGroup):
    """Imports the command that is called, others only for help; gives `train` its recipe's options; turns errors that a
    user can cause into a message and an exit code.
    """

    def _load(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.commands:
                self.commands[name] = _command(name)

    def list_commands(self, ctx: Any) -> list[str]:
        self._load(_MODULES)
        return list(_MODULES)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self._load([args[0]] if args[0] in _MODULES else _MODULES)  # all, for a guess at what was meant
        name, command, rest = super().resolve_command(ctx, args)
        if name != "train":
            return name, command, rest
        from .recipe_options import with_recipe
        from .train import train

        return name, with_recipe(command, train, rest), rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GraphError as error:
            message = str(error)
            if "check=False" in message and ctx.invoked_subcommand == "train":
                message += "\nOn the command line that is --no-check."
        except KeyboardInterrupt:
            note("Stopped.")
            raise typer.Exit(STOPPED) from None
        except torch.OutOfMemoryError as error:
            first = str(error).splitlines()[0]
            message = f"the device's memory is full; try a smaller --batch-size, or --accumulate. {first}"
        except (MemoryError, RuntimeError) as error:
            text = (str(error).splitlines() or [""])[0]
            if not isinstance(error, MemoryError) and not any(sign in text for sign in _NO_MEMORY):
                raise
            detail = text.rpartition("DefaultCPUAllocator: ")[2]
            message = f"not enough memory: {detail}" if detail else "not enough memory"
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has closed it
                raise
            message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        where = "" if is_first() else f" in process {os.environ['RANK']}"  # others may fail separately
        typer.echo(f"Error{where}: {message}", err=True)
        raise typer.Exit(2)


app = typer.Typer(
    name="graphseq", cls=_Commands, invoke_without_command=True, add_completion=False, rich_markup_mode=None,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graphseq {__version__}")
        raise typer.Exit


@app.callback()
def graphseq(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train and use networks on sequences, trees and graphs.

    `graphseq demo` shows what it does; `graphseq train RECIPE` trains a network; `graphseq predict RUN INPUT` uses it.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, by default this process's, and exit."""
    ignore_deprecations()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ± shows a question mark
    warnings.formatwarning = _as_line
    app(args=arguments, prog_name="graphseq")


def _as_line(message: Warning | str, *where: object, **line: object) -> str:
    """Format a warning without its place in the code, which is of no use on the command line."""
    return f"Warning: {str(message).replace('check=False', '--no-check')}\n"
