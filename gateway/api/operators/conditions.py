"""Every condition of `GET /ready`, what it means and what to do. docs/errors.md has this table.

A test holds that each condition that the gateway reports stands here, and that each of these is
reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradedMode:
    """A mode in which the gateway goes on answering without something that it is meant to have."""

    meaning: str
    remedy: str


CONDITIONS: Mapping[str, DegradedMode] = {
    "quotas-not-kept": DegradedMode(
        meaning="What keys have used of their tokens per day can't be written beside `keys.file`.",
        remedy="Let the gateway write there; the condition has the cause.",
    ),
    "keys-not-read": DegradedMode(
        meaning="Callers' keys can't be read from where they are kept. Those that were read last "
        "stay in use, and changes come later.",
        remedy="Mend the file of `keys.file`, or the shared state; the condition has the cause.",
    ),
    "issuer-keys-not-read": DegradedMode(
        meaning="Public keys of an issuer of tokens can't be read. Those that were read last stay "
        "good; where none ever were, callers with its tokens can't come in.",
        remedy="Check the issuer's `jwks_url` or `jwks_file`; the condition has the cause.",
    ),
    "pool-down": DegradedMode(
        meaning="A pool has no endpoint that is healthy, and none is waited for. Requests for its "
        "models are refused with `no_endpoint`, those for a tier go to another one.",
        remedy="Look at the engines; the condition says whether there are any. A pool that may be "
        "empty at times can hold requests until its first endpoint: `pools.NAME.hold_s`.",
    ),
    "endpoint-ejected": DegradedMode(
        meaning="Requests fail at an endpoint that passes the look at its health. It gets none for "
        "a while, then single ones try it; others answer.",
        remedy="Look at the engine's log; the condition has the error code of the last failure.",
    ),
    "tokenizer-unchecked": DegradedMode(
        meaning="A pool's engines have no `/tokenize` of vLLM's kind, so nobody knows whether "
        "their vocabulary is the family's. They answer, and take no drafts.",
        remedy="Serve the model with vLLM where devices are to draft for it.",
    ),
    "chat-template-missing": DegradedMode(
        meaning="The engines of a member of the family have no chat template, as models have none "
        "that are only trained to continue texts. They refuse chats with 400, and with them "
        "cascade, collective and devices' work do; `/v1/completions` answers.",
        remedy="Serve a model for chat, or give its engine a template: vLLM's `--chat-template`.",
    ),
    "predictor-foreign": DegradedMode(
        meaning="The file of `cascade.predictor` was fitted to models that no engine serves. The "
        "cascade goes on judging by it, without knowing whether that keeps its quality target.",
        remedy="Fit it to the models that answer, with `tierflow calibrate`, or leave "
        "`cascade.predictor` out: a cautious rule fits any model.",
    ),
    "model-unknown": DegradedMode(
        meaning="All engines are up, and none serves a model that the settings name for the "
        "cascade, the collective or the family.",
        remedy="Correct the name, or start the engine that serves it.",
    ),
    "draft-rounds-failing": DegradedMode(
        meaning="An engine failed at the last round of drafts; answers go on without.",
        remedy="Where it stays so, the engine takes no requests with several prompts of token "
        "ids: set the pool's `draft_rounds` to `never`.",
    ),
    "middle-tier-left-out": DegradedMode(
        meaning="Answers through a tier in the middle of a chain come faster without it, as "
        "measured, so that it is mostly not asked.",
        remedy="Look at the tier's load and its link; docs/three-tiers.md.",
    ),
    "mailbox-lost": DegradedMode(
        meaning="Drafts do not reach an engine; it answers without them.",
        remedy="Check the address, its port in firewalls, and the secret.",
    ),
    "discovery-lost": DegradedMode(
        meaning="The Kubernetes API does not report changes; the endpoints known last stay in use.",
        remedy="Check the API server, and the Role of the gateway's service account.",
    ),
    "discovery-passed-over": DegradedMode(
        meaning="Endpoints or pools that were found can't be used.",
        remedy="Correct what the condition names.",
    ),
    "state-lost": DegradedMode(
        meaning="Redis can't be used; by `state.when_lost` replicas go on with their own state, or "
        "refuse what needs it.",
        remedy="Bring Redis back; docs/state.md.",
    ),
    "state-emptied": DegradedMode(
        meaning="Redis has lost its content while the gateway ran, within the last day. Devices "
        "that were enrolled before are unknown.",
        remedy="Enrol the devices again, and let Redis write to a disk; docs/state.md.",
    ),
    "state-not-shared": DegradedMode(
        meaning="Several replicas run, and each has state of its own.",
        remedy="Set `state.redis`.",
    ),
    "embedding-missing": DegradedMode(
        meaning="The embedding model is not installed; a collective's members are chosen by tags "
        "and words.",
        remedy="Install the extra `embedding`, or set `collective.embedding.source: pool`.",
    ),
    "embedding-failing": DegradedMode(
        meaning="The last question to a collective got no vector; its members were chosen by tags "
        "and words.",
        remedy="Check the embedding model that the condition names.",
    ),
    "certificate-unusable": DegradedMode(
        meaning="Files of a certificate have changed and can't be used; connections go on by those "
        "that were there before.",
        remedy="Write the certificate, its key and its authority as PEM; the condition names the "
        "setting.",
    ),
    "certificate-ending": DegradedMode(
        meaning="A certificate of the gateway ends within two weeks, or has ended.",
        remedy="Replace its files; they are read again by themselves.",
    ),
    "draining": DegradedMode(
        meaning="The gateway is about to stop: it takes no requests, or soon no more. Those that "
        "run may end.",
        remedy="Nothing; another replica answers.",
    ),
    "log-lines-lost": DegradedMode(
        meaning="The gateway's log can't be written, and lines are lost; answers go on.",
        remedy="Make room on the disk, or have somebody read the gateway's standard output.",
    ),
    "outcomes-lost": DegradedMode(
        meaning="Outcomes of cascades are not written to `cascade.outcome_log`; answers go on.",
        remedy="Make room on the disk, or give the gateway the right to write there.",
    ),
}
