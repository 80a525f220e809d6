"""The `DraftingEngines` port on engines' mailboxes and their own API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from gateway.adapters.engines.engine_request import ask, read_small
from gateway.adapters.engines.mailbox import Mailbox
from gateway.core.ports import ModelServer
from gateway.core.speculation.job import DraftFacts, DraftRun
from gateway.core.types import Endpoint
from gateway.core.upstream_errors import engine_failed
from gateway.protocol.paths import TOKENIZE


class MailboxEngines:
    """The engines with their mailboxes, by endpoint id. An endpoint without one takes no drafts."""

    def __init__(self, server: ModelServer, mailboxes: Mapping[str, Mailbox]) -> None:
        self._server = server
        self._mailboxes = mailboxes

    def facts(self, endpoint: Endpoint) -> DraftFacts:
        mailbox = self._mailboxes.get(endpoint.id)
        return mailbox.facts if mailbox is not None else DraftFacts()

    def put(self, endpoint: Endpoint, session: str, runs: Sequence[DraftRun]) -> bool:
        mailbox = self._mailboxes.get(endpoint.id)
        return mailbox is not None and mailbox.put(session, runs)

    async def encode(self, endpoint: Endpoint, model: str, text: str) -> list[int]:
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        answer = await ask(self._server, endpoint, TOKENIZE, body)
        try:
            return [int(token) for token in orjson.loads(await read_small(answer))["tokens"]]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise engine_failed(endpoint.id, "sent no token ids for a text") from error
        finally:
            answer.close()
