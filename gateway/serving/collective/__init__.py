"""The model `tierflow-collective`: devices, or samples of one model, answer a question together.

`handler` takes a request through its steps. `selection` reads what the store remembers (`memory`,
`memory_store`), compares the question with the members' descriptions (`fit`, `embedding`) and
chooses `proposers`. `deliberation` has them answer and revise in rounds (`round`); between and
after the rounds `aggregation` makes one answer of theirs, by a vote, by likelihood (`best_of_n`) or
by a server model that reads them (`server_model`). `idempotency` keeps two replicas from answering
the same request, `report` says how the answer came about and what it teaches about its members, and
`feedback` is what callers say of it. The rules themselves are in `core.collective`.

Imports core, errors and protocol, `serving.chat` and `serving.requests`.
"""
