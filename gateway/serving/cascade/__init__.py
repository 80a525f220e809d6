"""The model `tierflow-cascade`: a lower tier answers what it likely gets right, the top the rest.

`options` reads a request and the rule by which answers are accepted. `handler` asks the lower
stages in turn: `stages` asks one (`lower_tier`: a pool or a device), judges its answer by features
that cost nothing or by further questions (`confidence`), and gives it to the caller or escalates.
What streams before it is judged goes through `held_back`. The top (`top_tier`) goes on from what
has been sent, and may verify the lower answer as a prediction (`verified_prediction`). `state`
holds what a request has come to and gives an account of it; `audits` logs outcomes for calibration.
The rules themselves are in `core.cascade`.

Imports core, errors and protocol, `serving.chat` and `serving.requests`.
"""
