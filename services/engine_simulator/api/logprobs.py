"""Log-probabilities in the shapes of chat, of completions and of vLLM's `prompt_logprobs`."""

from collections.abc import Sequence
from typing import Any

from services.engine_simulator.engine.decoding import Token
from services.engine_simulator.engine.language_model import Context, alternatives, next_token
from services.engine_simulator.engine.tokenizer import token_text
from services.engine_simulator.engine.vocabulary import PIECES


def _entry(token_id: int, logprob: float) -> dict[str, Any]:
    return {
        "token": token_text(token_id),
        "logprob": logprob,
        "bytes": list(PIECES[token_id]),
    }


def for_chat(tokens: Sequence[Token], top: int) -> dict[str, Any]:
    content = []
    for token in tokens:
        ranked = alternatives(token.draw, token.id, max(1, top))
        listed = [_entry(token_id, logprob) for token_id, logprob in ranked[:top]]
        content.append({**_entry(*ranked[0]), "top_logprobs": listed})
    return {"content": content}


def prompt_logprobs(
    context: Context, prompt: Sequence[int], top: int
) -> list[dict[str, dict[str, Any]] | None]:
    """One entry per prompt token, None for the first; `context` starts empty."""
    rows: list[dict[str, dict[str, Any]] | None] = []
    for token_id in prompt:
        rows.append(_row(context, token_id, top) if rows else None)
        context.append(token_id)
    return rows


def _row(context: Context, actual: int, top: int) -> dict[str, dict[str, Any]]:
    draw = context.draw()
    best = next_token(draw, context.last_id, may_end=True)
    ranked = alternatives(draw, best, max(1, top))
    if actual not in dict(ranked):
        ranked.append((actual, ranked[-1][1] - 1.0))
    entries = [
        (token_id, {"logprob": logprob, "rank": rank, "decoded_token": token_text(token_id)})
        for rank, (token_id, logprob) in enumerate(ranked, start=1)
    ]
    entries.sort(key=lambda entry: entry[0] != actual)
    return {str(token_id): entry for token_id, entry in entries}


def for_completion(
    tokens: Sequence[Token],
    top: int,
    offset: int,
    echoed: Sequence[dict[str, dict[str, Any]] | None] = (),
    echoed_ids: Sequence[int] = (),
) -> dict[str, Any]:
    """`offset` is where the first token's text starts; `echoed` are rows of the prompt."""
    offsets: list[int] = []
    logprobs: list[float | None] = []
    texts: list[str] = []
    tops: list[dict[str, float] | None] = []
    for token_id, row in zip(echoed_ids, echoed, strict=True):
        texts.append(token_text(token_id))
        logprobs.append(row[str(token_id)]["logprob"] if row else None)
        tops.append({e["decoded_token"]: e["logprob"] for e in row.values()} if row else None)
    for token in tokens:
        ranked = alternatives(token.draw, token.id, max(1, top))
        texts.append(token_text(token.id))
        logprobs.append(ranked[0][1])
        tops.append({token_text(token_id): logprob for token_id, logprob in ranked})
    for text in texts:
        offsets.append(offset)
        offset += len(text)
    return {
        "text_offset": offsets,
        "token_logprobs": logprobs,
        "tokens": texts,
        "top_logprobs": tops,
    }
