"""Data flow in one body of a program: which occurrences of a variable may have come last before each occurrence."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["Flow"]

_WIDTH = 4096  # bits of a set that is handled at once
_Group = tuple[Hashable, bool]  # a variable, and whether it is written


@dataclass(frozen=True)
class _Event:
    node: int
    variable: Hashable
    write: bool
    first: bool  # of the node: an augmented assignment reads, then writes


@dataclass
class Flow:
    """Blocks of events that follow each other, the predecessors of each block, and whether it can be reached.

    Block 0 is the entry.
    """

    events: list[list[_Event]] = field(default_factory=lambda: [[]])
    before: list[list[int]] = field(default_factory=lambda: [[]])
    live: list[bool] = field(default_factory=lambda: [True])

    def block(self, *before: int) -> int:
        """Return a new block behind some others."""
        self.events.append([])
        self.before.append([])
        self.live.append(False)
        for block in before:
            self.connect(block, len(self.events) - 1)
        return len(self.events) - 1

    def connect(self, source: int, target: int) -> None:
        """Let a block follow another, if that can be reached."""
        if self.live[source]:
            self.before[target].append(source)
            self.live[target] = True

    def add(self, block: int, node: int, variable: Hashable, *, write: bool, first: bool = True) -> None:
        """Let a node read or write a variable at the end of a block; `first` says that it has no earlier event."""
        if self.live[block]:
            self.events[block].append(_Event(node, variable, write, first))

    def last(self, kinds: Sequence[bool]) -> Iterator[tuple[int, bool, int]]:
        """Yield (node, write, earlier) where an earlier node may be the last read or write before a node's first event.

        `kinds` says whether reads (False), writes (True) or both are wanted.

        Reaching definitions: ``in = ∪ out of the blocks before``, ``out = gen ∪ (in \\ kill)``, on sets of bits.
        """
        order = self._order()
        for places in self._chunks():
            yield from self._solve(order, places, kinds)

    def _chunks(self) -> Iterator[dict[_Group, list[int]]]:
        """Yield the nodes that read and that write each variable, some variables at a time."""
        groups: dict[Hashable, tuple[list[int], list[int]]] = {}
        for event in (event for events in self.events for event in events):
            groups.setdefault(event.variable, ([], []))[event.write].append(event.node)
        chunk: dict[_Group, list[int]] = {}
        size = 0
        for variable, (reads, writes) in groups.items():
            chunk |= {(variable, False): reads, (variable, True): writes}
            size += len(reads) + len(writes)
            if size >= _WIDTH:
                yield chunk
                chunk, size = {}, 0
        yield chunk

    def _solve(
        self, order: list[int], places: dict[_Group, list[int]], kinds: Sequence[bool]
    ) -> Iterator[tuple[int, bool, int]]:
        start: dict[_Group, int] = {}
        mask: dict[_Group, int] = {}
        bit: dict[tuple[int, bool], int] = {}
        end = 0
        for key, nodes in places.items():
            start[key] = end
            mask[key] = ((1 << len(nodes)) - 1) << end
            bit |= {(node, key[1]): 1 << (end + i) for i, node in enumerate(nodes)}
            end += len(nodes)
        events = {b: [e for e in self.events[b] if (e.variable, e.write) in start] for b in order if self.events[b]}
        gen, kill = {}, {}
        for block, found in events.items():
            made = killed = 0
            for event in found:
                group = mask[event.variable, event.write]
                made = made & ~group | bit[event.node, event.write]
                killed |= group
            gen[block], kill[block] = made, killed
        reaching = self._reaching(order, gen, kill)
        for block, found in events.items():
            state = reaching[block]
            for event in found:
                for write in kinds if event.first else ():
                    nodes = places[event.variable, write]
                    earlier = (state & mask[event.variable, write]) >> start[event.variable, write]
                    yield from ((event.node, write, nodes[i]) for i in _ones(earlier))
                state = state & ~mask[event.variable, event.write] | bit[event.node, event.write]

    def _reaching(self, order: list[int], gen: dict[int, int], kill: dict[int, int]) -> dict[int, int]:
        """Return the bits that reach the start of each block: the least fixed point."""
        reaching = dict.fromkeys(order, 0)
        out = dict.fromkeys(order, 0)
        changed = True
        while changed:
            changed = False
            for block in order:
                state = 0
                for earlier in self.before[block]:
                    state |= out[earlier]
                reaching[block] = state
                if block in gen:
                    state = gen[block] | state & ~kill[block]
                if state != out[block]:
                    out[block], changed = state, True
        return reaching

    def _order(self) -> list[int]:
        """Return the blocks that can be reached, in reverse postorder: but for loops, each after those before it."""
        after: list[list[int]] = [[] for _ in self.events]
        for block, before in enumerate(self.before):
            for earlier in before:
                after[earlier].append(block)
        done, seen = [], {0}
        stack = [(0, iter(after[0]))]
        while stack:
            block, rest = stack[-1]
            following = next((b for b in rest if b not in seen), None)
            if following is None:
                done.append(stack.pop()[0])
            else:
                seen.add(following)
                stack.append((following, iter(after[following])))
        return done[::-1]


def _ones(bits: int) -> Iterable[int]:
    """Return the places of the ones of a number."""
    return (place for place, digit in enumerate(reversed(f"{bits:b}")) if digit == "1") if bits else ()
