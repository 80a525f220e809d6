"""Answers of ordinary requests for which the gateway itself leaves drafts at the engine.

`drafted_server` stands in for the way to the engines while one such request is answered: where the
endpoint takes drafts it names a session in the body, asks for token ids, and gives a draft source
its chances (`core.ports.DraftSource`). `drafted_answer` is the engine's answer on its way back: its
bytes, without the ids that the caller did not ask for; an answer in one piece is folded out of a
stream by `whole_answer`. The text is the engine's own, whatever is drafted. Sources are the text
that a caller predicts (`prediction`) and the tiers in the middle of a chain (`chained`).

Imports core, errors, protocol, `serving.requests`, `serving.chat` and `serving.chain`.
"""
