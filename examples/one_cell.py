"""One GRU cell, one set of weights: over a chain, a tree, a directed acyclic graph and a graph with a cycle.

A sweep visits each node once, after all its predecessors; rounds update all nodes at once. Run
``python examples/one_cell.py``; needs no data.
"""

from __future__ import annotations

import argparse

import torch

import graphseq as gs


@torch.no_grad()
def main(seed: int = 0) -> None:
    """Print the last node's state on each structure, under each schedule that it supports."""
    torch.manual_seed(seed)
    structures = {
        "chain": gs.Topology.chain([5]),
        "tree": gs.Topology.tree([2, 2, 4, 4, -1]),
        "DAG": gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 3], [1, 2, 3, 3, 4]])),
        "cycle": gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])),
    }
    cell = gs.nn.GRUCell(3, 3)
    x = torch.randn(5, 3)

    print(f"{'':7}{'schedule':10}{'states':9}of the last node")
    for name, topology in structures.items():
        for schedule in (gs.Sweep(), gs.Rounds(3)):
            kind = type(schedule).__name__
            try:
                h = gs.nn.Recurrent(cell, schedule)(x, topology)
            except gs.GraphError as error:  # a sweep over a cycle
                print(f"{name:7}{kind:10}{error}")
            else:
                print(f"{name:7}{kind:10}{list(h.shape)!s:9}{' '.join(f'{value:6.3f}' for value in h[-1].tolist())}")

    gru = torch.nn.GRU(3, 3)
    gru.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()})
    difference = float((gs.nn.Recurrent(cell)(x, structures["chain"]) - gru(x)[0]).abs().max())
    print(f"On the chain, torch.nn.GRU with these weights differs by {difference:.0e} at most.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the inputs")
    main(**vars(parser.parse_args()))
