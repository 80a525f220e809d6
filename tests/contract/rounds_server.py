"""A stock engine, and before it the gateway's rounds, which speak as an engine with a mailbox does.

So the suite of verifiers can ask it what it asks the others.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any

import orjson
from aiohttp import ClientSession, web

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.stateless_verifier import StatelessVerifier
from gateway.adapters.engines.verifier import EngineVerifier
from gateway.core.ports import Verification
from gateway.core.speculation.job import Batch, DraftRun, Job
from gateway.core.speculation.round_costs import RoundCosts
from gateway.core.speculation.round_economy import EveryRound, RoundRule, RoundTerms
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, Probe
from gateway.errors import GatewayError, InvalidRequest, StaleConnection
from gateway.protocol.mailbox import VERSION, MailboxGreeting
from services.vllm_server.race.mailbox import MailboxServer
from tests.reference_verifier.client import SECRET, Verifier, new_session

PER_STEP = 16
_OF_THE_STREAM = ("model", "prompt", "stream", "stream_options", "return_token_ids", "vllm_xargs")


class RoundsServer:
    """A server for the engine at `engine_url`, from entering to leaving.

    `plain` counts the answers without rounds by their reasons, `rounds` the rounds.
    """

    def __init__(
        self,
        engine_url: str,
        model: str,
        vocabulary: int,
        *,
        rule: Callable[[RoundCosts], RoundRule] = EveryRound,
    ) -> None:
        self._endpoint = Endpoint(
            id=engine_url, url=engine_url, pool="stock", tier=Tier.CLOUD, probe=Probe.ENGINE
        )
        self._model = model
        self._vocabulary = vocabulary
        self._rule = rule
        self._loop = asyncio.new_event_loop()
        self._drafts = defaultdict[str, list[DraftRun]](list)
        self._active: dict[str, Verification] = {}
        self._ended: set[str] = set()
        self._counts = dict.fromkeys(("received", "offered", "accepted", "ended", "failures"), 0)
        self._steps = 0
        self.rounds = 0
        self.plain_reasons: dict[str, int] = defaultdict(int)

    def __enter__(self) -> RoundsServer:
        up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(up,), daemon=True)
        self._thread.start()
        assert up.wait(20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    @property
    def verifier(self) -> Verifier:
        return Verifier(self._url, self._model, self._mailbox.port, greedy_only=True)

    # The `RoundTelemetry` port.

    def round(self, pool: str, drafted: int, accepted: int, seconds: float) -> None:
        self.rounds += 1
        self._counts["offered"] += drafted
        self._counts["accepted"] += accepted

    def plain(self, pool: str, reason: str) -> None:
        self.plain_reasons[reason] += 1
        self._counts["failures"] += reason in ("refused", "unreadable")

    def _run(self, up: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._bind())
        up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end(runner))
        self._loop.close()

    async def _bind(self) -> web.AppRunner:
        self._client = ClientSession(trust_env=False)
        self._server = AiohttpModelServer(connect_timeout_s=10, api_keys={})
        self._rounds = StatelessVerifier(
            engines=EngineVerifier(self._server, {}),
            server=self._server,
            terms={"stock": RoundTerms(PER_STEP, self._rule)},
            clock=MonotonicClock(),
            telemetry=self,
        )
        self._mailbox = MailboxServer(
            host="127.0.0.1",
            port=0,
            secret=SECRET.encode(),
            greeting=MailboxGreeting(VERSION, self._vocabulary, PER_STEP),
            report=self._report,
        )
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.post("/tokenize", self._tokenize),
                web.post("/v1/completions", self._complete),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _end(self, runner: web.AppRunner) -> None:
        self._mailbox.close()
        await runner.cleanup()
        await self._server.close()
        await self._client.close()

    def _report(self) -> dict[str, int]:
        return self._counts | {"sessions": len(self._active.keys() | self._drafts.keys())}

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(text=f"vllm:iteration_tokens_total_count {self._steps}\n")

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        # By its other name for llama.cpp.
        body |= {"content": body["prompt"]}
        async with self._client.post(self._endpoint.url + "/tokenize", json=body) as answer:
            return web.json_response(await answer.json())

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        session = body.get("vllm_xargs", {}).get("draft_session") or new_session()
        sampling = {name: value for name, value in body.items() if name not in _OF_THE_STREAM}
        job = Job(session=session, model=self._model, prompt=body["prompt"], sampling=sampling)
        try:
            try:
                verification = await self._rounds.open(self._endpoint, job)
            except StaleConnection:  # As the gateway's attempts do.
                verification = await self._rounds.open(self._endpoint, job)
        except InvalidRequest as error:
            return web.json_response({"error": {"message": error.message}}, status=400)
        self._active[session] = verification
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._stream(session, verification, response)
        except (ConnectionError, GatewayError):
            assert request.transport is not None
            request.transport.abort()
        finally:
            verification.close()
            del self._active[session]
            self._ended.add(session)
            self._sort_drafts()
        return response

    async def _stream(
        self, session: str, verification: Verification, response: web.StreamResponse
    ) -> None:
        self._sort_drafts()
        verification.draft(self._drafts.pop(session, []))
        rounds = self.rounds
        while (batch := await verification.read()) is not None:
            self._steps += 1 if self.rounds > rounds else len(batch.ids)
            rounds = self.rounds
            await _send(response, {"choices": [_choice(batch)]})
            self._sort_drafts()
            verification.draft(self._drafts.pop(session, []))
        prompt, completion = verification.usage or (0, 0)
        usage = {"prompt_tokens": prompt, "completion_tokens": completion}
        await _send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")

    def _sort_drafts(self) -> None:
        for draft, _ in self._mailbox.drain(4096):
            if draft.session in self._ended:
                self._counts["ended"] += len(draft.tokens)
                continue
            self._counts["received"] += len(draft.tokens)
            run = (draft.position, draft.tokens, draft.before)
            self._drafts[draft.session].append(run)


def _choice(batch: Batch) -> dict[str, Any]:
    return {
        "index": 0,
        "text": batch.text,
        "token_ids": list(batch.ids),
        "finish_reason": batch.reason,
        "stop_reason": batch.stop,
    }


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + orjson.dumps(event) + b"\n\n")
