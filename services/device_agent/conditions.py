"""What a device goes on answering without: named by `GET /ready`, metrics and the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from services.device_agent.link.link import Link
from services.device_agent.text import TextModel

log = logging.getLogger("tierflow.device")

LINK_LOST = "link-lost"
TEMPLATE_MISSING = "chat-template-missing"
TOKENIZER_DIFFERS = "tokenizer-differs"
NO_TEMPLATE = (
    "the model's folder has no chat template: chats go to the gateway, and the device takes no "
    "work; /v1/completions answers"
)
LOOK_S = 1.0
"""The pause between two looks for a change."""


class AgentConditions:
    """The degraded modes of one agent, by name, each with its reason. `link` None: no gateway."""

    def __init__(self, model: TextModel, link: Link | None) -> None:
        self._model = model
        self._link = link

    def current(self) -> Mapping[str, str]:
        conditions = {} if self._model.chats else {TEMPLATE_MISSING: NO_TEMPLATE}
        link = self._link
        if link is not None and link.problem:
            conditions[LINK_LOST] = link.problem
        elif link is not None and (foreign := self._foreign(link)):
            conditions[TOKENIZER_DIFFERS] = foreign
        return conditions

    def _foreign(self, link: Link) -> str:
        """Where no tier has the device's tokenizer: whose they have."""
        own, offers = self._model.fingerprint, list(link.models.values())
        if not offers or any(offer.tokenizer in ("", own) for offer in offers):
            return ""
        others = ", ".join(f"{offer.model} has {offer.tokenizer}" for offer in offers)
        return (
            f"no tier has this device's tokenizer (fingerprint {own}): {others}; the device drafts "
            "for none of them"
        )

    async def report(self) -> None:
        """Logs each condition when it begins, until cancelled. The link itself tells of its own
        loss."""
        known: set[str] = set()
        while True:
            conditions = self.current()
            for name in conditions.keys() - known - {LINK_LOST}:
                log.warning("%s: %s", name, conditions[name])
            known = set(conditions)
            await asyncio.sleep(LOOK_S)
