"""One session's drafts: put as they come, and taken for the text that was generated. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.protocol.mailbox import MAX_BEFORE
from services.vllm_server.race.counts import Counts
from services.vllm_server.race.tree import Levels, Node, best_parent, ends_alike


class DraftSession:
    """The drafts of one session: at most `max_tokens` tokens, of which a position has a bounded
    number, on at most `max_grounds` texts."""

    def __init__(self, counts: Counts, max_tokens: int, max_grounds: int) -> None:
        self.claimed = False
        self.aged = False
        self.kept = 0
        self._counts = counts
        self._max_tokens = max_tokens
        self._max_grounds = max_grounds
        self._grounds: list[Node] = []
        self._levels = Levels()

    def put(self, position: int, tokens: Sequence[int], before: Sequence[int], now: int) -> None:
        """Add what is new of `tokens`, which stand from `position` on after `before`."""
        parent, agreed = best_parent(self._levels.at(position - 1), tokens, before)
        self._counts.repeated += agreed
        if parent is None:
            full = len(self._grounds) >= self._max_grounds or self.kept >= self._max_tokens
            if full or not self._levels.has_room(position):
                self._counts.crowded += len(tokens)
                return
            parent = Node(
                token=-1, position=position - 1, parent=None, before=tuple(before)[-MAX_BEFORE:]
            )
            self._grounds.append(parent)
            self._levels.add(parent)
        before_it = self.kept
        for token in tokens[agreed : agreed + self._max_tokens - self.kept]:
            if not self._levels.has_room(parent.position + 1):
                break
            child = parent.children[token] = Node(
                token=token, position=parent.position + 1, parent=parent, arrived=now
            )
            self._levels.add(child)
            self.kept += 1
            parent = child
        self._counts.crowded += len(tokens) - agreed - (self.kept - before_it)

    def waiting(self, output: Sequence[int], limit: int) -> list[Node]:
        """Up to `limit` drafts that continue `output`; those that it contradicts are forgotten."""
        if not self._grounds:
            return []
        length = len(output)
        moved = (self._moved(ground, output) for ground in self._grounds)
        self._grounds = [ground for ground in moved if ground is not None]
        self._levels.forget_before(length - 1)
        if limit <= 0:
            return []
        for ground in self._grounds:
            if ground.position == length - 1:
                return ground.first_path(limit)
        return []

    def offer(self, path: Sequence[Node], now: int) -> list[int]:
        """A step takes these for verification; gives their tokens."""
        fresh = [node for node in path if not node.counted]
        if fresh:
            self._counts.offers += 1
            self._counts.age_us += max(0, now - fresh[0].arrived)
        self._counts.offered += len(fresh)
        for node in fresh:
            node.counted = True
        return [node.token for node in path]

    def drop(self) -> None:
        """Nothing of it will be verified any more."""
        for ground in self._grounds:
            self._counts.unused += self._bury(ground)
        self._grounds.clear()

    def _moved(self, ground: Node, output: Sequence[int]) -> Node | None:
        """The ground where the text has got to, None where nothing of it is left."""
        start = ground.position + 1
        if start > len(output):
            return ground
        assert ground.before is not None
        if not ends_alike(ground.before, output[max(0, start - MAX_BEFORE) : start]):
            self._counts.stale += self._bury(ground)
            return None
        for token in output[start:]:
            ground = self._step(ground, token)
        if not ground.children:
            ground.dead = True
            return None
        ground.before = tuple(output[max(0, len(output) - MAX_BEFORE) :])
        return ground

    def _step(self, ground: Node, token: int) -> Node:
        """The ground after `token`; everything else that stood on this one is buried."""
        child = ground.children.pop(token, None)
        self._counts.stale += self._bury(ground)
        if child is None:
            return Node(token=token, position=ground.position + 1, parent=None, before=())
        self._counts.late += not child.counted
        child.counted, child.parent, child.before = True, None, ()
        self.kept -= 1
        return child

    def _bury(self, ground: Node) -> int:
        """Forget all that stands on it; returns how many of these tokens had met no fate yet."""
        ground.dead = True
        fresh = 0
        for node in ground.all_below():
            node.dead = True
            fresh += not node.counted
            self.kept -= 1
        ground.children.clear()
        return fresh
