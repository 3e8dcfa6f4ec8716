"""The README's Python examples run as they stand."""

import re
from pathlib import Path

import pytest
import torch

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"## ([^\n]*)\n(?:(?!\n## ).)*?```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)


def test_there_are_examples() -> None:
    assert [title for title, _ in BLOCKS] == [
        "In Python",
        "Your own data",
        "A chain",
        "A tree",
        "A graph",
        "One cell on all of them",
        "A cell of your own",
    ]


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_example_runs(title: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write into the folder `runs`
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # their networks are small
    try:
        exec(compile(code, f"README.md, {title}", "exec"), {"__name__": "readme"})
    finally:
        torch.set_num_threads(threads)
