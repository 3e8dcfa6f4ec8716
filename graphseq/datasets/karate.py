"""Zachary's karate club: one small graph, built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..errors import expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["karate"]

_SMALLER_CLUB = 17  # members of each of the two clubs


def karate(*, seed: int = 0, train_per_class: int = 2, val_per_class: int = 5) -> Data:
    """Return Zachary's karate club, 34 members and their 78 friendships, as networkx has it.

    Source: W. W. Zachary, "An Information Flow Model for Conflict and Fission in Small Groups", Journal of
    Anthropological Research 33 (1977). The label is the club that a member joined when the club split.

    Args:
        seed: shuffles the members of each club; the first are for training, the next for validation, the rest for test.
        train_per_class: members of each club for training.
        val_per_class: members of each club for validation.

    Returns:
        ``Data`` with ``x`` float32 [34, 34], the identity; ``y`` int64 [34], 0 for Mr. Hi's club and 1 for
        the officer's; ``edge_index`` int64 [2, 156], both directions of each friendship, by sender;
        ``train_mask``, ``val_mask`` and ``test_mask`` bool [34].

    Raises:
        GraphError: a number of members is negative, or none is left for the test.

    >>> club = karate(seed=1)
    >>> club.num_nodes, club.num_edges, int(club.train_mask.sum()), int(club.y.sum())
    (34, 156, 4, 17)
    """
    import networkx
    from torch_geometric.data import Data

    if train_per_class < 0:
        raise expected("train_per_class", "an integer of at least 0", train_per_class)
    if not 0 <= val_per_class < _SMALLER_CLUB - train_per_class:
        limit = f"an integer from 0 to less than {_SMALLER_CLUB} - train_per_class={train_per_class}"
        raise expected("val_per_class", limit, val_per_class)
    graph = networkx.karate_club_graph()
    both = sorted([*graph.edges, *((v, u) for u, v in graph.edges)])
    y = torch.tensor([int(club != "Mr. Hi") for _, club in graph.nodes(data="club")])

    masks = torch.zeros(3, len(y), dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    for club in (0, 1):
        members = (y == club).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        sizes = [train_per_class, val_per_class, len(members) - train_per_class - val_per_class]
        for mask, chosen in zip(masks, members.split(sizes), strict=True):
            mask[chosen] = True
    train, val, test = (mask.clone() for mask in masks)
    edges = torch.tensor(both).t().contiguous()
    return Data(x=torch.eye(len(y)), edge_index=edges, y=y, train_mask=train, val_mask=val, test_mask=test)
