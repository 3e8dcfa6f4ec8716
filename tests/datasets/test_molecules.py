import builtins
import gzip
import importlib
import math
import sys

import pytest
import torch

from graphseq.datasets import molecules
from graphseq.errors import CorruptData, GraphError, MissingData

pytest.importorskip("rdkit")
from torch_geometric.utils import from_smiles

TABLE = 'id,smiles,a,b\n"Ethanol, pure",CCO ,1.5,2\nWater,O,,-1\n"two\nlines",c1ccccc1,3,4\n'


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/molecules").mkdir(parents=True)
    (tmp_path / "root/molecules/own.csv").write_text(TABLE)
    return tmp_path / "root"


def test_a_small_table(root, listing, monkeypatch):
    before = listing(root)
    for _ in range(2):  # read, and from the cache
        graphs = molecules("own", root, targets=("b", "a"))
        assert (len(graphs), graphs.name, repr(graphs)) == (3, "own", "own(3)")
        assert [graph.smiles for graph in graphs] == ["CCO", "O", "c1ccccc1"]
        for graph in graphs:
            theirs = from_smiles(graph.smiles)
            assert all(torch.equal(graph[key], theirs[key]) for key in ("x", "edge_index", "edge_attr"))
        assert graphs[0].y.tolist() == [[2, 1.5]] and graphs[0].y.dtype == torch.float32
        assert graphs[1].y[0, 0] == -1 and math.isnan(graphs[1].y[0, 1]) and graphs[1].num_edges == 0
        monkeypatch.setattr(sys.modules["graphseq.datasets.molecules"], "_read", None)
    assert listing(root) == before


def test_other_columns_are_read_anew(root):
    assert molecules("own", root, targets=("a",))[0].y.tolist() == [[1.5]]
    assert molecules("own", root, targets=("b",))[0].y.tolist() == [[2]]


def test_transform(root):
    assert molecules("own", root, targets=("a",), transform=lambda graph: graph.num_nodes)[2] == 6


def test_bad_lines_are_named(root):
    path = root / "molecules/own.csv"
    path.write_text(TABLE + "Bad,C1CC,1,2\nNone,,1,2\n")
    with pytest.raises(GraphError, match=r"own\.csv: no molecules .*: line 6: 'C1CC'; line 7: ''; check=False leaves"):
        molecules("own", root, targets=("a",))
    with pytest.warns(UserWarning, match=r"line 6: 'C1CC'; line 7: ''$"):
        assert len(molecules("own", root, targets=("a",), check=False)) == 3
    path.write_text(TABLE + "C1CC,C1CC,1,2\n" * 7)
    with pytest.raises(GraphError, match="line 10: 'C1CC' and 2 more; check=False"):
        molecules("own", root, targets=("a",))
    path.write_text(TABLE + "x,C,1,2\nx,C,one,2\n")
    with pytest.raises(GraphError, match=r"own\.csv, line 7: could not convert string to float: 'one'"):
        molecules("own", root, targets=("a",))


@pytest.mark.parametrize("content", [b"smiles,a\n\xff,1\n", b"smiles,a\n", b"smiles,a\n\0,1\n" + b'"' + b"x" * 200_000])
def test_what_is_no_table(root, content):
    (root / "molecules/own.csv").write_bytes(content)
    with pytest.raises(GraphError, match=r"own\.csv: (not a table|has no molecules)"):
        molecules("own", root, targets=("a",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"smiles": "SMILES"},
            "`smiles`: expected a column of the table, got 'SMILES', where own.csv has id, smiles, a, b",
        ),
        ({"targets": ["a", "c"]}, "`targets`: expected a column of the table, got 'c'"),
        ({"targets": "a"}, "`targets`: expected a sequence of names"),
        ({"targets": ()}, "`targets`: expected a sequence of names"),
        ({"name": "../own"}, "`name`: expected a table's name"),
        ({"name": 3}, "`name`: expected a table's name"),
    ],
)
def test_bad_arguments(root, options, message):
    with pytest.raises(GraphError) as caught:
        molecules(**{"name": "own", "root": root, "targets": ["a"], **options})
    assert message in str(caught.value)


def test_without_rdkit(root, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **options):
        if name.partition(".")[0] == "rdkit":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install graphseq\[chem\]"):
        molecules("own", root, targets=("a",))


def test_download(cache, site, address):
    address("molecules", site.url)
    site.lay("SAMPL.csv", TABLE)
    site.lay("tox21.csv.gz", gzip.compress(TABLE.encode()))
    for name in ("SAMPL", "tox21"):
        assert len(molecules(name, targets=("a",))) == 3
    assert {path.name for path in (cache / "molecules").iterdir()} == {"SAMPL.csv", "SHA256SUMS", "tox21.csv"}
    (cache / "molecules/tox21.csv").write_text(TABLE.replace("CCO", "CCC"))
    with pytest.raises(CorruptData, match=r"tox21\.csv was altered"):
        molecules("tox21", targets=("a",))
    with pytest.raises(MissingData, match=r"pcba\.csv\.gz could not be downloaded: .*404"):
        molecules("pcba")


def test_offline(no_sockets):
    with pytest.raises(MissingData, match=r"(?s)delaney-processed\.csv.*offline"):
        molecules(offline=True)


def test_an_altered_table(data_root, tmp_path):
    text = (data_root / "molecules/delaney-processed.csv").read_text()
    (tmp_path / "molecules").mkdir()
    (tmp_path / "molecules/delaney-processed.csv").write_text("".join(text.splitlines(keepends=True)[:11]))
    with pytest.raises(CorruptData, match=r"delaney-processed\.csv was truncated: expected \d+ bytes of SHA-256 8c06a"):
        molecules(root=tmp_path)
    assert len(molecules(root=tmp_path, check=False)) == 10


def test_esol_as_published(data_root):
    esol = molecules(root=data_root)
    assert len(esol) == 1128 and esol.num_features == 9
    assert float(esol[0].y) == pytest.approx(-0.77) and esol[0].x.dtype == torch.int64
    y = torch.cat([graph.y for graph in esol])
    assert y.shape == (1128, 1) and float(y.mean()) == pytest.approx(-3.05, abs=0.01)
    assert importlib.import_module("graphseq.datasets.molecules")  # the function hides the module
