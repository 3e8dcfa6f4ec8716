"""The Python examples of README and of the pages in docs run as they stand."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"## ([^\n]*)\n(?:(?!\n## ).)*?```python\n(.*?)```", re.S)


def blocks(page: str) -> list[tuple[str, str, str]]:
    return [(page, title, code) for title, code in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]


README, ARCHITECTURE = blocks("README.md"), blocks("docs/architecture.md")


def test_there_are_examples() -> None:
    assert [title for _, title, _ in README] == [
        "In Python",
        "Your own data",
        "A chain",
        "A tree",
        "A graph",
        "One cell on all of them",
        "A cell of your own",
    ]
    added = [title.removeprefix("How to add a ") for _, title, _ in ARCHITECTURE]
    assert added == ["Without a cell", "cell", "layer", "merge", "lowering"]


@pytest.mark.parametrize(("page", "title", "code"), README + ARCHITECTURE, ids=lambda value: value[:40])
def test_example_runs(page: str, title: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write into the folder `runs`
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # their networks are small
    try:
        exec(compile(code, f"{page}, {title}", "exec"), {"__name__": "example"})
    finally:
        torch.set_num_threads(threads)
