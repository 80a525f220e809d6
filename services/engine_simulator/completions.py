"""/v1/completions: checks a request and puts each of its prompts into the engine."""

from services.engine_simulator import identity, structured
from services.engine_simulator.answering import answer
from services.engine_simulator.completion_renderer import CompletionRenderer
from services.engine_simulator.engine import Ask, Engine
from services.engine_simulator.language_model import Context
from services.engine_simulator.prompts import as_prompts
from services.engine_simulator.sampling import check_prompt, check_sampling, limits
from services.engine_simulator.schema import CompletionBody, parse
from services.engine_simulator.wire import Exchange


async def completions(engine: Engine, exchange: Exchange) -> None:
    body = parse(CompletionBody, await exchange.body())
    plan = engine.admit()
    model = engine.resolve(body.model)
    n = check_sampling(body)
    prompts = as_prompts(body.prompt)
    room = engine.settings.max_model_len
    asks = []
    for prompt in prompts:
        check_prompt(prompt, room)
        bounds = limits(body, body.max_tokens, len(prompt), room)
        salt = Context(model, body.seed, 0, prompt).draw()
        script = structured.json_answer(body.response_format, salt)
        asks.append(Ask(prompt, bounds, n, body.seed, script))
    job = engine.submit(model, asks, plan)
    request_id = identity.new_id("cmpl-", exchange.header(b"x-request-id"))
    renderer = CompletionRenderer(request_id, model, body, prompts, n)
    await answer(engine, exchange, job, renderer, bool(body.stream))
