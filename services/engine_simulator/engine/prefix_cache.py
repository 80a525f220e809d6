"""Which prompt blocks the KV cache still holds: hash-chained blocks, least recently used out."""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b


class PrefixCache:
    """The prefix cache of an engine with `capacity_tokens` of KV cache.

    It counts the tokens of a prompt that need no prefill.
    """

    def __init__(self, capacity_tokens: int, block_size: int = 16) -> None:
        self._capacity = max(1, capacity_tokens // block_size)
        self._block_size = block_size
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        """Blocks held."""
        return len(self._blocks)

    def admit(self, prompt: Sequence[int]) -> int:
        """Returns the cached tokens (never the last token) and remembers the prompt's blocks."""
        hit_blocks, hitting = 0, True
        chain = blake2b(digest_size=8)
        full_blocks = (len(prompt) - 1) // self._block_size
        for block in range(full_blocks):
            start = block * self._block_size
            chain.update(array("I", prompt[start : start + self._block_size]).tobytes())
            key = chain.digest()
            hitting = hitting and key in self._blocks
            hit_blocks += hitting
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)
        return hit_blocks * self._block_size
