"""Learns path templates from traffic: which segments of a path are names, and which are values (pure, bounded).

A segment is a value if it looks like one (`path_templates`), or if more than `SIBLINGS` different ones were seen in its
place. So 500 real endpoints under one prefix stay separate, and a flood of invented paths becomes one template. A
segment that recurs is a name even then: invented ones hardly ever recur.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from akto_mirror.path_templates import ID, fold_path
from akto_mirror.sampling.recurrence import Recurrence

# With more different segments in one place of a path, all of them are values.
SIBLINGS = 1_000

# A segment that was seen this often in a place with too many siblings is a name.
RETURNS = 3

# The most segments that are remembered in total; beyond this every new one is a value.
NODES = 32_768

# Bytes of a node: its reference and its text, and its share of the counts of recurring segments and of the cached
# templates.
NODE_BYTES = 640
COUNTED = 16

# Visits after which a node certainly survives the next pruning.
SETTLED = 2 * RETURNS

# The share of the nodes that may be cached templates, and the most characters of one.
SETTLED_SHARE = 8
MAX_SETTLED_CHARS = 150

# The most common values, whole numbers and UUIDs, which need no further check.
VALUES = re.compile(r"(?<=/)(?:[0-9]+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?=/|\Z)", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class _Node:
    """A node of the tree: its number of visits, and its children.

    Attributes:
        is_folded: whether unknown segments below this node are values.
    """

    visits: int = 0
    children: dict[str, _Node] = field(default_factory=dict)
    is_folded: bool = False


class Templates:
    """Learns the templates of all hosts and methods.

    Args:
        siblings: the most different segments in one place that are names.
        nodes: the most segments that are remembered in total.
    """

    def __init__(self, siblings: int = SIBLINGS, nodes: int = NODES) -> None:
        self._siblings = siblings
        self._nodes = nodes
        self._left = nodes
        self._added = 0
        self._root = _Node()
        self._settled = set[tuple[str, str, str]]()
        self._recurrence = Recurrence(max(1_024, nodes * COUNTED))

    def of(self, host: str, method: str, path: str) -> tuple[str, str, str]:
        """Return host, method and path, with `{id}` in place of values.

        Args:
            host: the host name, with its port if it has one.
            method: the request's method.
            path: the path without its query string.
        """
        short = host, method, VALUES.sub(ID, path)
        return short if short in self._settled else self._learn(host, method, short[2])

    def _learn(self, host: str, method: str, path: str) -> tuple[str, str, str]:
        """Walk the tree, for paths without a cached template."""
        node, names, visits = self._root, [], SETTLED
        for segment in (host, method, *fold_path(path).split("/")):
            name, node = self._enter(node, segment)
            names.append(name)
            visits = min(visits, node.visits)
        found = names[0], names[1], "/".join(names[2:])
        if visits == SETTLED and found == (host, method, path):
            self._settle(found)
        return found

    def _settle(self, template: tuple[str, str, str]) -> None:
        """Cache a template until the tree is pruned."""
        if sum(map(len, template)) <= MAX_SETTLED_CHARS:
            if len(self._settled) >= self._nodes // SETTLED_SHARE:
                self._settled.clear()
            self._settled.add(template)

    def _enter(self, node: _Node, segment: str) -> tuple[str, _Node]:
        child = node.children.get(segment)
        if child is None and (not node.is_folded or self._comes_back(node, segment)):
            child = self._add(node, segment)
        if child is None:
            segment = ID
            child = node.children.get(ID) or self._new(node, ID)
        child.visits += 1
        return segment, child

    def _add(self, node: _Node, segment: str) -> _Node | None:
        """Add a name, if there is room for it."""
        if not self._has_room() or len(node.children) > 2 * self._siblings:
            return None
        if not node.is_folded and len(node.children) >= self._siblings:
            self._fold(node)
            return None
        return self._new(node, segment)

    def _new(self, node: _Node, segment: str) -> _Node:
        self._left -= 1
        self._added += 1
        child = node.children[segment] = _Node()
        return child

    def _has_room(self) -> bool:
        """Make room if there is none: forget segments that never recurred, and age the others."""
        if self._left <= 0 and self._added >= self._nodes // 4:
            _prune(self._root)
            self._settled.clear()
            self._left, self._added = self._nodes - _count(self._root), 0
        return self._left > 0

    def _fold(self, node: _Node) -> None:
        """Turn the segments below a node into values, except those that recurred."""
        kept = {name: child for name, child in node.children.items() if child.visits >= RETURNS or name == ID}
        self._left += sum(_count(child) for name, child in node.children.items() if name not in kept)
        node.children = kept
        node.is_folded = True

    def _comes_back(self, node: _Node, segment: str) -> bool:
        return self._recurrence.count(hash((id(node), segment)) % 2**64) >= RETURNS


def _count(node: _Node) -> int:
    """Return the number of nodes of a tree."""
    count, level = 0, [node]
    while level:
        count += len(level)
        level = [child for each in level for child in each.children.values()]
    return count


def _prune(root: _Node) -> None:
    """Forget segments with fewer than `RETURNS` visits, and halve the visits of the others."""
    level = [root]
    while level:
        node = level.pop()
        node.children = {name: child for name, child in node.children.items() if child.visits >= RETURNS or name == ID}
        for child in node.children.values():
            child.visits = (child.visits + 1) // 2
            level.append(child)
