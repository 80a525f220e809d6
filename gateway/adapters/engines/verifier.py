"""The `Verifier` port on an engine's own API, with its mailbox for drafts beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from gateway.adapters.engines.completion_stream import CompletionStream
from gateway.adapters.engines.dialects import VLLM, Dialect, Dialects
from gateway.adapters.engines.engine_request import ask, read_small
from gateway.adapters.engines.mailbox import Mailbox
from gateway.core.ports import LeaveDrafts, ModelServer, Verification
from gateway.core.speculation.job import Batch, DraftFacts, DraftRun, Job
from gateway.core.types import Endpoint
from gateway.core.upstream_errors import engine_failed
from gateway.protocol.paths import CHAT, COMPLETIONS, DETOKENIZE, TOKENIZE


class EngineVerifier:
    """The verifier of drafts at the engines. `mailboxes` by endpoint id; an endpoint without one
    answers and takes no drafts."""

    def __init__(self, server: ModelServer, mailboxes: Mapping[str, Mailbox]) -> None:
        self._server = server
        self._mailboxes = mailboxes
        self._dialects = Dialects(server)

    def facts(self, endpoint: Endpoint) -> DraftFacts:
        mailbox = self._mailboxes.get(endpoint.id)
        return mailbox.facts if mailbox is not None else DraftFacts()

    def early(self, endpoint: Endpoint, session: str) -> LeaveDrafts | None:
        mailbox = self._mailboxes.get(endpoint.id)
        return partial(mailbox.put, session) if mailbox is not None else None

    def takes_messages(self, endpoint: Endpoint) -> bool:
        """Our own engines tell the ids that messages became; of others that is not known."""
        return self.has_mailbox(endpoint)

    def has_mailbox(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint has one, connected or not."""
        return endpoint.id in self._mailboxes

    async def dialect(self, endpoint: Endpoint) -> Dialect:
        """How the engine gives token ids. Raises UpstreamError."""
        # Only our own engines have mailboxes.
        return VLLM if self.has_mailbox(endpoint) else await self._dialects.of(endpoint)

    async def tokenize(
        self, endpoint: Endpoint, model: str, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        body = {"model": model, "messages": messages, "add_generation_prompt": True}
        answer = await ask(self._server, endpoint, TOKENIZE, body)
        try:
            reply = orjson.loads(await read_small(answer))
            return [int(token) for token in reply["tokens"]]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise engine_failed(endpoint.id, "sent no token ids for the messages") from error
        finally:
            answer.close()

    async def detokenize(self, endpoint: Endpoint, model: str, ids: Sequence[int]) -> str:
        answer = await ask(
            self._server, endpoint, DETOKENIZE, {"model": model, "tokens": list(ids)}
        )
        try:
            return str(orjson.loads(await read_small(answer))["prompt"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise engine_failed(endpoint.id, "sent no text for the token ids") from error
        finally:
            answer.close()

    async def open(self, endpoint: Endpoint, job: Job) -> Verification:
        mailbox = self._mailboxes.get(endpoint.id)
        dialect = await self.dialect(endpoint)
        body: dict[str, Any] = {
            **job.sampling,
            "model": job.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            **dialect.fields,
        }
        if mailbox is not None:
            body["vllm_xargs"] = {"draft_session": job.session}
        path = CHAT if job.messages else COMPLETIONS
        body |= {"messages": job.messages} if job.messages else {"prompt": job.prompt}
        answer = await ask(self._server, endpoint, path, body)
        stream = CompletionStream(
            answer=answer, endpoint_id=endpoint.id, dialect=dialect, path=path
        )
        return EngineVerification(stream, job.session, mailbox)


class EngineVerification:
    """One answer of an engine's, with the way for its drafts."""

    def __init__(self, stream: CompletionStream, session: str, mailbox: Mailbox | None) -> None:
        self._stream = stream
        self._session = session
        self._mailbox = mailbox

    @property
    def usage(self) -> tuple[int, int] | None:
        return self._stream.usage

    def draft(self, runs: Sequence[DraftRun]) -> bool:
        mailbox = self._mailbox
        return mailbox is not None and mailbox.put(self._session, runs)

    async def read(self) -> Batch | None:
        return await self._stream.read()

    def close(self) -> None:
        self._stream.close()
