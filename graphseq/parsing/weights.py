"""Files with the weights of a model, in float16, and what else it needs: safetensors, from which no code can run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import GraphError, Words, expected

__all__ = ["load_weights", "save_weights"]


def save_weights(path: str | os.PathLike[str], kind: str, model: nn.Module, meta: dict[str, Any]) -> None:
    """Write a model's weights, and `meta` as JSON under the name of its kind; first to a temporary name."""
    from safetensors.torch import save

    weights = {name: value.detach().half().contiguous().cpu() for name, value in model.state_dict().items()}
    target = Path(path)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(save(weights, {f"graphseq.{kind}": json.dumps(meta, ensure_ascii=False)}))
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise expected("path", "a file that can be written", Words(f"{target}: {error.strerror}")) from None


def load_weights(path: str | os.PathLike[str], kind: str, maker: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_weights` wrote: weights as float32, and `meta`.

    Args:
        path: the file.
        kind: of the model.
        maker: what writes such files, for messages.

    Raises:
        GraphError: no such file, or another kind of file.
    """
    from safetensors import SafetensorError, safe_open

    if Path(path).is_dir():
        what = f"a file that {maker} wrote; the recipe's export function writes one of a run"
        raise expected("path", what, Words(f"{os.fspath(path)}, a folder"))
    try:
        with safe_open(path, framework="pt") as file:
            kinds = file.metadata() or {}
            if f"graphseq.{kind}" not in kinds:
                other = ", ".join(key.removeprefix("graphseq.") for key in kinds) or "something else"
                raise expected("path", f"a file that {maker} wrote", Words(f"{os.fspath(path)}, which has {other}"))
            meta: dict[str, Any] = json.loads(kinds[f"graphseq.{kind}"])
            return {name: file.get_tensor(name).float() for name in file.keys()}, meta  # noqa: SIM118 - no mapping
    except GraphError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise expected("path", f"a file that {maker} wrote", Words(f"{os.fspath(path)}: {error}")) from None
