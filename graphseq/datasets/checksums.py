"""The recorded checksums of published files, and how files are compared with them.

A file of the cache folder has one too: what came with the first download, in ``SHA256SUMS`` beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from graphseq.datasets.roots import cache_folder
from graphseq.errors import CorruptData

__all__ = ["RECORDED", "SUMS", "Checksum", "checksum", "compare", "read_sums", "verify", "write_sums"]

SUMS = "SHA256SUMS"  # in the format of sha256sum


class Checksum(NamedTuple):
    """What a file must be: SHA-256 of its content and, where it is known, its size in bytes."""

    sha256: str
    size: int | None = None

    def __str__(self) -> str:
        """Return both in words."""
        return f"SHA-256 {self.sha256}" if self.size is None else f"{self.size} bytes of SHA-256 {self.sha256}"


# Folder below a data root → file → SHA-256 and size. The cards in the folder `datasets` of a checkout show the same.
RECORDED: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "molecules": {
        "delaney-processed.csv": ("8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189", 96699),
    },
    "nltk_data/corpora": {
        "treebank.zip": ("9da92d76c3666cfb6cddeaed0f7e86b344cce0f0928a286d439e555f19c37399", 1740034),
    },
    "planetoid/Cora/raw": {
        "ind.cora.allx": ("9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543", 257305),
        "ind.cora.ally": ("2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71", 47959),
        "ind.cora.graph": ("58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d", 59847),
        "ind.cora.test.index": ("297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875", 5000),
        "ind.cora.tx": ("b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a", 148025),
        "ind.cora.ty": ("41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad", 28135),
        "ind.cora.x": ("23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab", 22119),
        "ind.cora.y": ("94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1", 4054),
    },
    "sst": {
        "dev.txt": ("0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40", 280825),
        "train.txt": ("e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7", 2160058),
    },
    "tudataset/MUTAG/raw": {
        "MUTAG_A.txt": ("d9656ca7493f3445d737c711710bb36fd432dddd1c0ea32e1d4713c86ebd28e2", 76940),
        "MUTAG_edge_labels.txt": ("4669ce755075ff86c3240709345745886400908fa637a49310459b9c267b3e56", 14884),
        "MUTAG_graph_indicator.txt": ("7d520a4d6c7961c0cdeabe076d8fe27e795b6d373485c9a2b744987e560a2056", 11532),
        "MUTAG_graph_labels.txt": ("a1518ea39ba3426bd42f57396b9c4baffe68e9adc718caeeab0119c6591a5f2c", 439),
        "MUTAG_node_labels.txt": ("678f429965490e84dd27713017538c995fc05d1621beac910848b600015ee863", 6742),
    },
    "tudataset/PROTEINS/raw": {
        "PROTEINS_A.txt": ("4c4b33e272fc95cac6d27ed6d5d12b9a852c8610e91fff59f8f0dbdd5a20df67", 2022990),
        "PROTEINS_graph_indicator.txt": ("8d4ff1e852a5c28561e9bffb44cf9490bc552b13a3b6156dd12dc7f44e9afc4a", 169673),
        "PROTEINS_graph_labels.txt": ("c0ef9810c440775252872318d0c8adc385588e14bc4c47a2c34aa96ee3c7cdcd", 2226),
        "PROTEINS_node_attributes.txt": ("54eef829abb37e458a5fbf3a3c581e48e5810e220463c2cd951856b9ceb08f07", 478190),
        "PROTEINS_node_labels.txt": ("f758e8ad3d6e3c026b50833d75f6f90735b94eb3345e4243707f495ca8afea8d", 86942),
    },
}


def checksum(path: Path) -> Checksum:
    """Return size and SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Checksum(digest, file.tell())


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Record the files in a folder in its ``SHA256SUMS``, beside what it has of others."""
    sums = read_sums(folder) | {name: checksum(folder / name).sha256 for name in names}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (folder / SUMS).write_text(text, encoding="utf-8")


def read_sums(folder: Path) -> dict[str, str]:
    """Return what the folder's ``SHA256SUMS`` says, by file; nothing where there is none or it is not one."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    parts = (line.partition("  ") for line in lines)
    return {name: digest for digest, _, name in parts if len(digest) == 64 and name}


def verify(folder: str, paths: Iterable[Path], *, check: bool = True) -> dict[str, str]:
    """Return the SHA-256 of each file by its name, after comparing them with what is recorded.

    Args:
        folder: where the files belong, below a data root.
        paths: the files.
        check: whether to compare at all.

    Raises:
        CorruptData: a file is not what was recorded.
    """
    came = {path: checksum(path) for path in paths}
    if check:
        wrong = compare(folder, came)
        if wrong:
            path, want = wrong[0]
            more = f" (and {len(wrong) - 1} more of its folder)" if len(wrong) > 1 else ""
            what = "cut" if want.size is not None and (came[path].size or 0) < want.size else "altered"
            hint = "check=False reads it all the same"
            if cache_folder() in path.parents:
                hint += "; delete it to download it anew"
            raise CorruptData(f"{path}{more} was {what}: expected {want}, got {came[path]}; {hint}")
    return {path.name: seen.sha256 for path, seen in came.items()}


def compare(folder: str, came: Mapping[Path, Checksum]) -> list[tuple[Path, Checksum]]:
    """Return the files that are not as recorded, each with what was expected; others are taken as they are."""
    wrong = []
    recorded = RECORDED.get(folder, {})
    for path, seen in came.items():
        want = Checksum(*recorded[path.name]) if path.name in recorded else None
        if want is None and cache_folder() in path.parents:
            first = read_sums(path.parent).get(path.name)
            want = None if first is None else Checksum(first)
        if want is not None and want.sha256 != seen.sha256:
            wrong.append((path, want))
    return wrong
