"""What a spoiled drafter will guess is known beforehand, from what the natural one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.speculation.agreements import acceptance, agreements
from loadtest.speculation.ideal.agreement import Agreement
from loadtest.speculation.links import Prompt
from services.device_agent.drafters.emulation import NoisyStream
from services.device_agent.drafters.port import Chooser, Guess

VOCABULARY = 100_000


class RightStream:
    """A stream of drafts that says `answer` after `prompt`, but where `hits` says that it errs."""

    def __init__(self, prompt: Prompt, hits: Sequence[bool]) -> None:
        self.prompt = prompt
        self.hits = hits
        self.cached = 0

    def close(self) -> None:
        pass

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        place = len(text) - len(self.prompt.prompt_ids)
        return [Guess(self.prompt.ids[place] if self.hits[place] else -5, 0.9, -1)]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_they_are_those_of_the_agents_own_drafter(seed: int, share: float) -> None:
    random = Random(seed)
    ids = [random.randrange(500) for _ in range(40)]
    prompt = Prompt("", ids[:10], ids[10:])
    hits = [random.random() < 0.9 for _ in prompt.ids]
    (known,) = agreements([prompt], [hits], {"it": share})["it"]
    stream = NoisyStream(RightStream(prompt, hits), share, VOCABULARY)
    for place, token in enumerate(prompt.ids):
        (guess,) = stream.draft(ids[: 10 + place], 1, lambda guess: True)
        assert (guess.token == token) == (known[place] is Agreement.FIRST)


def test_the_share_that_is_replaced_is_no_longer_right() -> None:
    random = Random(1)
    prompts = [
        Prompt("", [each], [random.randrange(500) for _ in range(50)]) for each in range(200)
    ]
    hits = [[True] * 50] * 200
    known = agreements(prompts, hits, {"some": 0.2, "none": 0.0, "all": 1.0})
    assert abs(acceptance(known["some"]) - 0.8) < 0.02
    assert (acceptance(known["none"]), acceptance(known["all"])) == (1.0, 0.0)
