"""What a session asks of the engine that answers now: all of the answer, or the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.core.ports import Verifier
from gateway.core.routing.routing import Choice
from gateway.core.speculation.job import Job, sampling_of_rest
from gateway.core.speculation.session import SessionState
from gateway.core.streams.stop_texts import StopScanner
from gateway.errors import InvalidRequest
from gateway.protocol.device_link.speculation import Open
from gateway.serving.devices.drafting.verified_tokens import TokenRelay
from gateway.serving.requests.verifiers import room_for_answer

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
MAX_LETTER_TOKENS = 4
"""A letter has at most four bytes, and a token at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionJobs:
    """The jobs of one session, one for each endpoint that works on it. `relay` looks for stop texts
    where the engine can't."""

    frame: Open
    state: SessionState
    verifier: Verifier
    relay: TokenRelay

    async def prepare(self, choice: Choice, *, needs_ids: bool) -> None:
        """Look at the frame with the endpoint's eyes: from then on the state knows its vocabulary,
        and the prompt's ids unless the engine is to make them. `needs_ids`: others do, who draft
        for it.

        Raises InvalidRequest, UpstreamError.
        """
        state, verifier, endpoint = self.state, self.verifier, choice.state.endpoint
        # An engine that makes the prompt itself saves a round trip before the first token. Who goes
        # on with an answer needs the ids before.
        ids_first = needs_ids or state.verified or not verifier.takes_messages(endpoint)
        if not state.prompt and ids_first:
            state.prompt = await verifier.tokenize(endpoint, choice.model, self.frame.messages)
        state.vocabulary = verifier.facts(endpoint).vocabulary
        self._check_ids(state.vocabulary)

    async def job(self, choice: Choice, session: str) -> Job | None:
        """For what is left of the answer, after `prepare`; None where nothing is.

        Raises InvalidRequest, UpstreamError.
        """
        state = self.state
        sampling = await self._sampling(choice)
        if sampling.get("max_tokens") == 0:
            return None
        return Job(
            session=session,
            model=choice.model,
            prompt=[*state.prompt, *state.verified],
            sampling=sampling,
            messages=() if state.prompt else self.frame.messages,
        )

    def _check_ids(self, vocabulary: int | None) -> None:
        """Raises InvalidRequest for ids that the model does not have; None: it is not known which
        it has."""
        for name, ids in (("prompt", self.frame.prompt), ("verified", self.frame.verified)):
            if vocabulary is not None and ids and max(ids) >= vocabulary:
                raise InvalidRequest(
                    f"{name}: token ids must be below {vocabulary}, the vocabulary's size",
                    param=name,
                    code="bad_open",
                )

    async def _sampling(self, choice: Choice) -> dict[str, Any]:
        """For what is left of the answer: with the longest that fits into the context, where the
        device set no limit. No engine finds a stop text that another began, so from the first
        break on they are looked for here."""
        state = self.state
        sampling = sampling_of_rest(state.sampling, len(state.verified))
        # Without a limit, an engine that is given messages fills its context, too.
        if state.prompt:
            room = room_for_answer(choice, len(state.prompt) + len(state.verified))
            if room is not None:
                sampling.setdefault("max_tokens", room)
        if state.verified and (stops := sampling.pop("stop", None)):
            self.relay.scanner = StopScanner(stops=stops)
            self.relay.scanner.feed(await self._end_of_text(choice, max(map(len, stops)) - 1))
        return sampling

    async def _end_of_text(self, choice: Choice, size: int) -> str:
        """The last `size` letters of the text so far, in which a stop text may have begun."""
        if size == 0:
            return ""
        ids = self.state.verified[-MAX_LETTER_TOKENS * (size + 1) :]
        try:
            text = await self.verifier.detokenize(choice.state.endpoint, choice.model, ids)
        except InvalidRequest:
            # An engine that can't tell it: to lose the answer would be worse.
            return ""
        # A letter that is not complete yet comes with the tokens that complete it.
        return text.rstrip(INCOMPLETE)[-size:]
