"""The race, inside vLLM: what has been drafted in time is verified by the step that runs anyway.

`--scheduler-cls services.vllm_server.race.scheduler.RaceScheduler`, beside a speculative
configuration that never proposes anything itself (`race.proposer`), which makes vLLM's workers
ready to verify. Written for the vLLM version in the lock file.

Right by construction with tensor parallelism: the scheduler runs once per engine, before the
step is sent to the workers, and the drafts are part of what is sent. All ranks see the same.
"""

# vLLM is not installed where types are checked.
# mypy: allow-subclassing-any
from __future__ import annotations

import logging
import os
from typing import Any

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request

from services.vllm_server.race.branches import Branches
from services.vllm_server.race.mailbox import Mailbox

ADDRESS = "TIERFLOW_DRAFT_MAILBOX"
SECRET = "TIERFLOW_DRAFT_SECRET"
SESSION = "draft_session"

log = logging.getLogger("vllm.tierflow")
from vllm.v1.executor.multiproc_executor import MultiprocExecutor
MultiprocExecutor.take_draft_token_ids = lambda self: None


class RaceScheduler(Scheduler):
    """vLLM's scheduler, which before each step hands drafts from outside to their requests.

    It never waits: without a fitting draft a request decodes one token as usual.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._branches = Branches()
        host, _, port = os.environ[ADDRESS].rpartition(":")
        self._mailbox = Mailbox(
            host,
            int(port),
            os.environ[SECRET].encode(),
            self.vllm_config.model_config.get_vocab_size(),
            self._report,
        )
        log.info("drafts are taken on port %d", self._mailbox.port)

    def schedule(self, *arguments: Any, **named: Any) -> Any:
        for drafts in self._mailbox.drain():
            self._branches.put(drafts.session, drafts.position, drafts.tokens, drafts.before)
        if len(self._branches):
            for request in self.running:
                self._offer(request)
        return super().schedule(*arguments, **named)

    def _offer(self, request: Request) -> None:
        session = session_of(request)
        if session is None or not decodes(request):
            return
        said = request.output_token_ids
        # The verifying step adds a token of its own after the drafts.
        room = min(
            self.num_spec_tokens,
            request.max_tokens - len(said) - 1,
            self.max_model_len - request.num_tokens - 1,
        )
        drafts = self._branches.take(session, said, room)
        if drafts and request.use_structured_output:
            drafts = self.structured_output_manager.validate_tokens(request, drafts)
        request.spec_token_ids = drafts

    def _free_request(self, request: Request, *arguments: Any, **named: Any) -> Any:
        session = session_of(request)
        if session is not None:
            self._branches.forget(session)
        return super()._free_request(request, *arguments, **named)

    def shutdown(self) -> None:
        self._mailbox.close()
        super().shutdown()

    def _report(self) -> dict[str, int]:
        counts = self._branches.counts
        return {name: getattr(counts, name) for name in counts.__slots__} | {
            "sessions": len(self._branches)
        }


def session_of(request: Request) -> str | None:
    """The session that a request names in `vllm_xargs`; nothing else may be one."""
    parameters = request.sampling_params
    extra = parameters.extra_args if parameters is not None else None
    session = extra.get(SESSION) if extra else None
    return session if isinstance(session, str) else None


def decodes(request: Request) -> bool:
    """Whether the next step would compute exactly one token: all but the last are computed."""
    return (
        request.num_output_placeholders == 0
        and request.num_computed_tokens == request.num_tokens - 1
        and request.num_output_tokens > 0
    )
