"""What chains know of a tier in the middle before a test begins."""

from __future__ import annotations

from gateway.core.types import Caller
from gateway.serving.chain.chains import Chains, ChainWish
from tests.unit.gateway.build import request


def edge_cloud(*, below: str = "", caller: str = "") -> ChainWish:
    return ChainWish(
        through=["edge"],
        below=below,
        last="cloud",
        model="rill-cloud",
        request=request("rill-cloud", caller=Caller(id=caller)),
        tokenizer="f",
    )


def leave_out_edge(chains: Chains, *, below: str = "", caller: str = "") -> None:
    """The edge has been measured, and slows this caller's answers."""
    gain = chains.turn(edge_cloud(below=below, caller=caller)).gain
    for _ in range(5):
        gain.observe(["edge"], 20, 0.1, 1.0)
        gain.observe([], 20, 0.1, 0.1)
    assert gain.used == frozenset()
