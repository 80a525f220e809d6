"""What is sent where."""

from __future__ import annotations

from dataclasses import dataclass

CHAT = "/v1/chat/completions"
PLAIN, VIRTUAL, COMPOSED = "canned", "tierflow-auto", "tierflow-cascade"
OTHER_ROUTES = (
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/tokenize",
    "/v1/collective/feedback",
    "/v1/devices/enrol",
    "/v1/admin/enrolments",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonPlan:
    """The plan of a run: `size_bytes` of each body, and `repetitions` of each case. Every shape
    goes to the chat route at each of `models`, `route_shapes` to every other route. `crowd` bodies
    at a time go to a gateway that has `crowd_limit_bytes` of memory."""

    size_bytes: int
    repetitions: int
    models: tuple[str, ...]
    route_shapes: tuple[str, ...]
    crowd: int
    crowd_limit_bytes: int


FULL = PoisonPlan(
    size_bytes=16 * 2**20,
    repetitions=3,
    models=(PLAIN, VIRTUAL, COMPOSED),
    route_shapes=("nested lists", "line feeds", "token ids", "small objects"),
    crowd=50,
    crowd_limit_bytes=512 * 2**20,
)
QUICK = PoisonPlan(
    size_bytes=16 * 2**20,
    repetitions=1,
    models=(VIRTUAL,),
    route_shapes=("nested lists", "line feeds"),
    crowd=50,
    crowd_limit_bytes=512 * 2**20,
)
