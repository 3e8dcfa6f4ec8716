"""The commands and Python blocks of README and docs run as they are printed.

The blocks of a document run in order in one empty folder; where a Python block is followed by a `text` block, that is
what it prints. A comment that begins with `takes` marks a command that is long or needs data: only its syntax is
checked, as is that of commands for `make` and `torchrun`.
"""

import contextlib
import io
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from torch_geometric.utils import is_undirected

from graphseq.cli import app
from graphseq.recipes import all_recipes, find_recipe, reference_results
from graphseq.recipes.inputs import graph_from_json

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUP = typer.main.get_command(app)
STARTED = "-m graphseq "  # behind torchrun's own options


def blocks(document, languages=r"\w+"):
    return re.findall(rf"```({languages})\n(.*?)```", document.read_text(encoding="utf-8"), re.S)


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
def test_blocks(document, graphseq):
    words = ("good", "bad")
    labelled = "text,label\n" + "".join(f"a {words[i % 2]} film,{words[i % 2]}\n" for i in range(30))
    for name, text in {"reviews": labelled, "more": labelled, "new": "text\na bad film\n"}.items():
        Path(f"{name}.csv").write_text(text, encoding="utf-8")  # files of the reader's that documents name
    found = blocks(document)
    for number, ((language, code), (following, text)) in enumerate(pairwise([*found, ("", "")])):
        if language == "bash":
            for line in filter(str.strip, code.splitlines()):
                run(line, graphseq)
        elif language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, f"{document.name}, block {number}", "exec"), {"__name__": "document"})
            assert following != "text" or printed.getvalue() == text


def run(line, graphseq):
    program, *words = shlex.split(line, comments=True)
    comment = line.rpartition("#")[2].strip() if "#" in line else ""
    if program == "make":
        assert f"\n{words[0]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    elif program == "source":
        assert line.startswith("source .venv/bin/activate")
        assert "\nVENV := .venv$(patsubst constraints%,%," in (ROOT / "Makefile").read_text(encoding="utf-8")
    elif program == "torchrun":
        is_well_formed(shlex.split(line.partition(STARTED)[2]))
    elif comment.startswith("takes"):
        is_well_formed(words)
    else:
        assert program == "graphseq", line
        graphseq(*words)


def test_documents_can_be_followed_one_after_the_other():
    lines = [line for page in DOCUMENTS for line in page.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if "graphseq train " in line and "--resume" not in line]
    folders = [found[1] for line in lines if (found := re.search(r"--out (\S+)", line))]
    assert len(set(folders)) == len(folders) > 5, folders


def test_graphs_as_json():
    [(_, text)] = blocks(ROOT / "docs" / "data.md", "json")
    graph = graph_from_json(text, 7)  # as many features as MUTAG has
    assert graph.num_nodes == 3 and is_undirected(graph.edge_index)


def test_json_output_is_documented_for_every_command():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    told = {name for name in GROUP.list_commands(None) if f"\n| `{name}` | " in text}
    assert told == {n for n, c in GROUP.commands.items() if any("--json" in p.opts for p in c.params)}


def test_readme_names_every_recipe():
    text = DOCUMENTS[0].read_text(encoding="utf-8")
    assert [name for name in all_recipes() if f"`{name}`" not in text] == []


def test_readme_has_the_reference_results():
    rows = [row for row in DOCUMENTS[0].read_text(encoding="utf-8").splitlines() if "`graphseq train " in row]
    assert len(rows) == 4
    for row in rows:
        words = shlex.split(row.split("`")[1])
        is_well_formed(words[1:])
        assert reference_results()[words[2]] in row


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"(?:\]\(|<img src=\")(?!https?:)([^)#\"]*)#?([^)\"]*)", text):
        found = document.parent / target if target else document
        assert found.exists(), target
        titles = re.findall(r"^#+ (.*)", found.read_text(encoding="utf-8"), re.M) if anchor else []
        assert not anchor or anchor in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]
