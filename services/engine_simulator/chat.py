"""/v1/chat/completions: checks a request and puts it into the engine."""

from services.engine_simulator import chat_template, identity, structured
from services.engine_simulator.answering import answer
from services.engine_simulator.chat_renderer import ChatRenderer
from services.engine_simulator.engine import Ask, Engine
from services.engine_simulator.errors import invalid
from services.engine_simulator.language_model import Context
from services.engine_simulator.sampling import check_prompt, check_sampling, limits
from services.engine_simulator.schema import ChatBody, parse
from services.engine_simulator.wire import Exchange

_MAX_LOGPROBS = 20


async def chat_completions(engine: Engine, exchange: Exchange) -> None:
    body = parse(ChatBody, await exchange.body())
    plan = engine.admit()
    model = engine.resolve(body.model)
    n = check_sampling(body)
    if body.top_logprobs and not body.logprobs:
        raise invalid("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true.")
    if body.top_logprobs and not 0 <= body.top_logprobs <= _MAX_LOGPROBS:
        raise invalid("top_logprobs", f"at most {_MAX_LOGPROBS} are served.", body.top_logprobs)
    prompt = chat_template.render(body.messages)
    check_prompt(prompt, engine.settings.max_model_len)
    wanted = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    bounds = limits(body, wanted, len(prompt), engine.settings.max_model_len)
    salt = Context(model, body.seed, 0, prompt).draw()
    call = structured.tool_call(body, salt)
    script = call[1] if call else structured.json_answer(body.response_format, salt)
    job = engine.submit(model, [Ask(prompt, bounds, n, body.seed, script)], plan)
    request_id = identity.new_id("chatcmpl-", exchange.header(b"x-request-id"))
    renderer = ChatRenderer(request_id, model, body, prompt, n, call[0] if call else None)
    await answer(engine, exchange, job, renderer, bool(body.stream))
