"""What README and docs tell people to type runs as it stands.

Commands of one document run one after the other in one empty folder. A comment that begins with `takes` marks what is
long or needs data: of such a command only the syntax is checked, as it is of what `make` and `torchrun` are to do.
"""

import re
import shlex
from pathlib import Path

import pytest
import typer
from torch_geometric.utils import is_undirected

from graphseq.cli import app
from graphseq.recipes import all_recipes, find_recipe
from graphseq.recipes.inputs import graph_from_json

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUP = typer.main.get_command(app)
STARTED = "-m graphseq "  # behind torchrun's own options


def blocks(document, language):
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), re.S)


def lines(document):
    return [line for block in blocks(document, "bash") for line in block.splitlines() if line.strip()]


def is_well_formed(words):
    """Parse a command without running it: names of commands, options and recipes."""
    words = [word for word in words if "/of/" not in word and word != "--data-root"]  # a folder of the reader's
    name, command, rest = GROUP.resolve_command(GROUP.make_context("graphseq", list(words)), list(words))
    parameters = command.make_context(name, list(rest)).params
    if name == "train":
        texts = dict(text.split("=") for text in parameters["settings"] or [])
        recipe = find_recipe(parameters["recipe"])
        own = {name: parameters.get(name) for name in type(recipe).model_fields}
        recipe.parse(texts | {name: str(value) for name, value in own.items() if value is not None})


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_commands(document, graphseq):
    words = ("good", "bad")
    labelled = "text,label\n" + "".join(f"a {words[i % 2]} film,{words[i % 2]}\n" for i in range(30))
    for name, text in {"reviews": labelled, "more": labelled, "new": "text\na bad film\n"}.items():
        Path(f"{name}.csv").write_text(text, encoding="utf-8")  # the files that documents speak of
    for line in lines(document):
        program, *words = shlex.split(line, comments=True)
        comment = line.rpartition("#")[2].strip() if "#" in line else ""
        if program == "make":
            assert f"\n{words[0]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        elif program == "source":
            assert line.startswith("source .venv/bin/activate")
            assert "VENV := .venv\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
        elif program == "torchrun":
            is_well_formed(shlex.split(line.partition(STARTED)[2]))
        elif comment.startswith("takes"):
            is_well_formed(words)
        else:
            assert program == "graphseq", line
            graphseq(*words)


@pytest.mark.parametrize("document", DOCUMENTS[1:], ids=[document.name for document in DOCUMENTS[1:]])
def test_python(document):
    for number, code in enumerate(blocks(document, "python")):
        exec(compile(code, f"{document.name}, block {number}", "exec"), {"__name__": "document"})


def test_graphs_as_json():
    [text] = blocks(ROOT / "docs" / "data.md", "json")
    graph = graph_from_json(text, 7)  # as many features as MUTAG has
    assert graph.num_nodes == 3 and is_undirected(graph.edge_index)


def test_what_json_prints_is_told_of_every_command():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    told = {name for name in GROUP.commands if f"\n| `{name}` | " in text}
    assert told == {n for n, c in GROUP.commands.items() if any("--json" in p.opts for p in c.params)}


def test_readme_names_every_recipe():
    text = DOCUMENTS[0].read_text(encoding="utf-8")
    assert [name for name in all_recipes() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target
