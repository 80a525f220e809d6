"""Every code of an error in an HTTP answer, what it means and what to do; and those that logs,
metrics and conditions have beside them. docs/errors.md is made of these tables and of
`device_error_codes`.

A test holds that each code that the gateway uses stands in one, and that each of these is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway import errors
from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A code in the body of an HTTP error.

    `error` is the error's class, which gives the status and type in `api.error_handlers`, or the
    status itself where no such error is raised; `type` is then the one in the body.
    """

    error: type[GatewayError] | int
    meaning: str
    remedy: str
    type: str = "invalid_request_error"


HTTP_ERRORS: Mapping[str, ErrorCode] = {
    # The request as a whole.
    "invalid_json": ErrorCode(
        errors.InvalidRequest, "The body is not a JSON object.", "Send a JSON object."
    ),
    "invalid_body": ErrorCode(
        errors.InvalidRequest,
        "A field of the body is missing, unknown or wrong.",
        "Correct the field that `param` names.",
    ),
    "invalid_value": ErrorCode(
        errors.InvalidRequest,
        "A field or parameter has a value that is not allowed.",
        "Give a value as the message says.",
    ),
    "invalid_parameter": ErrorCode(
        errors.InvalidRequest,
        "A field or value is not allowed with this virtual model.",
        "Leave the field out, or name a served model.",
    ),
    "invalid_header": ErrorCode(
        errors.InvalidRequest,
        "A header of Tierflow has a value that is not allowed, or it or `Authorization` is given "
        "more than once.",
        "Correct the header that `param` names.",
    ),
    "invalid_route": ErrorCode(
        errors.InvalidRequest,
        "The virtual model answers at `/v1/chat/completions` only.",
        "Use that route.",
    ),
    "missing_model": ErrorCode(
        errors.InvalidRequest, "The body has no `model`.", "Name a model of `GET /v1/models`."
    ),
    "invalid_model": ErrorCode(
        errors.InvalidRequest,
        "`model` is empty, longer than 256 characters or not a string.",
        "Name a model of `GET /v1/models`.",
    ),
    "foreign_host": ErrorCode(
        403,
        "The Host header names another host than this address answers to.",
        "Call it by its own name, or add the name to `listen.allowed_hosts`.",
        type="permission_error",
    ),
    "foreign_origin": ErrorCode(
        403,
        "The request comes from a web page of another origin.",
        "Where the page is meant to ask, add its origin to `listen.allowed_origins`.",
        type="permission_error",
    ),
    "body_timeout": ErrorCode(
        errors.InvalidRequest,
        "The body did not arrive in time.",
        "Send it faster, or raise `timeouts.body_s`.",
    ),
    "body_too_large": ErrorCode(
        errors.BodyTooLarge,
        "The body is larger than the limit.",
        "Send less, or raise the setting that the message names.",
    ),
    "body_too_complex": ErrorCode(
        errors.InvalidRequest,
        "The body has more lists, objects and items than may be read in one go, or nests them too "
        "deep.",
        "Send less at once, or raise the setting that the message names; docs/limits.md has all.",
    ),
    "limit_exceeded": ErrorCode(
        errors.InvalidRequest,
        "A field asks for more than a request may.",
        "Ask for less, or raise the setting that the message names; docs/limits.md has all.",
    ),
    "invalid_form": ErrorCode(
        errors.InvalidRequest,
        "The body is not a form, or a field of it can't be read or stands twice.",
        "Send multipart/form-data, each field once.",
    ),
    "encoded_body": ErrorCode(
        errors.EncodedBody,
        "The body is compressed: it has a `Content-Encoding`.",
        "Send it as it is.",
    ),
    "invalid_http": ErrorCode(
        400,
        "The request is no valid HTTP/1.1, or could be read in two ways: two lengths, a length and "
        "chunks, lines folded or ended by a line feed alone, no `Host` or several.",
        "Use a client that keeps to the protocol.",
    ),
    "headers_too_large": ErrorCode(
        431,
        "The request's headers are too large or too many.",
        "Send fewer, or raise the setting that the message names.",
    ),
    "target_too_long": ErrorCode(
        414, "The path and query are too long.", "Send what is long in the body."
    ),
    "too_many_connections": ErrorCode(
        503,
        "As many connections are open as there may be, in all or from this address.",
        "Use connections again; behind a proxy, list its network in `connections.exempt`.",
        type="service_unavailable_error",
    ),
    "not_found": ErrorCode(
        404,
        "There is no such route at this address.",
        "docs/routes.md lists the routes of each address.",
    ),
    "method_not_allowed": ErrorCode(
        405, "The route does not have this method.", "Use the route's method."
    ),
    # Models and demands.
    "model_not_found": ErrorCode(
        errors.UnknownModel,
        "No pool serves this model.",
        "Name one of those that the message lists.",
    ),
    "demand_not_met": ErrorCode(
        errors.InvalidRequest,
        "No pool meets `x-tierflow-max-tier` or `x-tierflow-min-quality`.",
        "Relax the header that `param` names.",
    ),
    "unknown_family_member": ErrorCode(
        errors.InvalidRequest,
        "`x-tierflow-min-quality` names no member of the family.",
        "Name one of those that the message lists.",
    ),
    "prompt_too_long": ErrorCode(
        errors.InvalidRequest,
        "The prompt does not fit into the model's context.",
        "Shorten it, or name a model with a longer context.",
    ),
    "route_not_served": ErrorCode(
        errors.RouteNotServed,
        "The engines that serve the model have no such route, or can't do what it is for.",
        "Name a model whose engines have it.",
    ),
    "unknown_response": ErrorCode(
        errors.UnknownResponse,
        "No endpoint has the stored response: it was not stored, or its engine has restarted.",
        "Ask anew; engines keep responses only where their operator has switched that on.",
    ),
    "engine_refused": ErrorCode(
        errors.InvalidRequest,
        "The engine refused the request, without a code in words; `param` is the field that it "
        "names, if any.",
        "Correct the request as the message says; a plain model's is the engine's own.",
    ),
    # Keys and quotas.
    "invalid_api_key": ErrorCode(
        errors.InvalidKey,
        "The caller's key is missing, unknown, revoked or expired.",
        "Send `Authorization: Bearer <key>`; docs/keys.md tells how one is made.",
    ),
    "model_not_allowed": ErrorCode(
        errors.OutOfScope,
        "The key is not for this model.",
        "Name a model of `GET /v1/models`, or have the operator widen the key's `models`.",
    ),
    "way_not_allowed": ErrorCode(
        errors.OutOfScope,
        "The key is not for this way of answering: plain, cascade or collective.",
        "Name another model, or have the operator widen the key's `ways`.",
    ),
    "tier_not_allowed": ErrorCode(
        errors.OutOfScope,
        "The request can only be answered at tiers that the key is not for.",
        "Name another model, or have the operator widen the key's `tiers`.",
    ),
    "issuer_lost": ErrorCode(
        errors.StateLost,
        "The public keys of the issuer that signs these tokens could not be read yet.",
        "Try again after `Retry-After`; `GET /ready` tells why.",
    ),
    "priority_not_allowed": ErrorCode(
        errors.OutOfScope,
        "Callers with a key may not ask for so high a priority.",
        "Ask for a lower `x-tierflow-priority`, or have the operator raise `keys.max_priority`.",
    ),
    "privacy_not_allowed": ErrorCode(
        errors.OutOfScope,
        "The key is not for requests of this privacy class.",
        "Give another `x-tierflow-privacy`, or have the operator widen the key's `privacy`.",
    ),
    "fan_out_exceeded": ErrorCode(
        errors.OutOfScope,
        "The request would ask engines more often than the key's `fan_out` allows.",
        "Ask for fewer samples, members or rounds.",
    ),
    "rate_limit_exceeded": ErrorCode(
        errors.RequestRateExceeded,
        "The key's requests or tokens per minute, or its requests in flight, are used up; the type "
        "is `tokens` for tokens.",
        "Try again after `Retry-After`; `x-ratelimit-*` tell what is left.",
    ),
    "insufficient_quota": ErrorCode(
        errors.QuotaSpent,
        "The key's tokens per day are used up.",
        "Try again after `Retry-After`, or have the operator raise the key's `tokens_per_day`.",
    ),
    # Load, endpoints and time.
    "overloaded": ErrorCode(
        errors.Overloaded,
        "Every endpoint that may answer, the gateway's queue, or its room for bodies is full.",
        "Try again after `Retry-After`; add replicas if it persists.",
    ),
    "too_many_consoles": ErrorCode(
        errors.Overloaded,
        "As many consoles look at this gateway as may at a time.",
        "Close one; each page at `/` that is open counts.",
    ),
    "draining": ErrorCode(
        errors.Draining,
        "The gateway is about to stop and takes no more requests.",
        "Send the request again: another replica answers.",
    ),
    "drained": ErrorCode(
        errors.Draining,
        "The gateway had to stop before the answer was complete (`lifecycle.drain_s`).",
        "Send the request again.",
    ),
    "no_endpoint": ErrorCode(
        errors.NoEndpoint,
        "No healthy endpoint can answer now.",
        "Try again after `Retry-After`; `GET /ready` has the cause.",
    ),
    "no_device": ErrorCode(
        errors.NoEndpoint,
        "No registered device of the cascade's lowest stage can answer now.",
        "Try again after `Retry-After`, or connect the device.",
    ),
    "connect_failed": ErrorCode(
        errors.ConnectFailed,
        "The endpoint refused the connection, and no other was left.",
        "Try again after `Retry-After`; `GET /ready` names the endpoint.",
    ),
    "connect_timeout": ErrorCode(
        errors.ConnectTimeout,
        "The endpoint accepted no connection within `timeouts.connect_s`, and no other was left.",
        "Try again after `Retry-After`; `GET /ready` names the endpoint.",
    ),
    "stale_connection": ErrorCode(
        errors.StaleConnection,
        "A kept connection to the endpoint had ended, and no other attempt was left.",
        "Try again.",
    ),
    "endpoint_down": ErrorCode(
        errors.EndpointLost,
        "The endpoint was taken out of use before it answered, and no other attempt was left.",
        "Try again; `GET /ready` names the endpoint.",
    ),
    "endpoint_silent": ErrorCode(
        errors.EndpointLost,
        "The endpoint answered nobody for longer than usual, and no other attempt was left.",
        "Try again; `GET /ready` names the endpoint.",
    ),
    "engine_busy": ErrorCode(
        errors.EngineBusy,
        "Every endpoint that may answer says that it takes no more requests for now (429).",
        "Try again after `Retry-After`; add replicas if it persists.",
    ),
    "engine_denied": ErrorCode(
        errors.EngineFailed,
        "The endpoint refused the gateway's own credentials; the caller's are not in question.",
        "Correct the pool's `api_key`.",
    ),
    "engine_error": ErrorCode(
        errors.EngineFailed,
        "The engine answered with a server error, or without what was asked for.",
        "Try again; the engine's log has the cause.",
    ),
    "error_event": ErrorCode(
        errors.EngineFailed,
        "The engine began to answer, and said in its answer that it had failed.",
        "Try again; the engine's log has the cause.",
    ),
    "engine_aborted": ErrorCode(
        errors.EngineFailed,
        "The engine gave the answer up, as one that shuts down does.",
        "Try again.",
    ),
    "unreadable_answer": ErrorCode(
        errors.EngineFailed,
        "The engine sent something that is not its API's: no JSON, an event without end, or to a "
        "virtual model no chat completion; the message names the place in the body.",
        "Try again; the engine's log has the cause.",
    ),
    "engine_disconnected": ErrorCode(
        errors.EngineFailed,
        "The engine closed the connection before its answer was complete.",
        "Try again; the engine's log has the cause.",
    ),
    "deadline_exceeded": ErrorCode(
        errors.DeadlineExceeded,
        "The answer had not begun when `x-tierflow-deadline-ms` had passed, or the queue made that "
        "certain.",
        "Allow more time, or name a faster tier.",
    ),
    "first_token_timeout": ErrorCode(
        errors.FirstTokenTimeout,
        "The engine sent nothing within `timeouts.first_token_s`.",
        "Try again later; raise the setting for slow engines.",
    ),
    "idle_timeout": ErrorCode(
        errors.IdleTimeout,
        "The engine paused for longer than `timeouts.idle_s` or `timeouts.answer_s`.",
        "Try again later; raise the setting for slow engines.",
    ),
    # Resumable streams.
    "unknown_stream": ErrorCode(
        errors.UnknownStream,
        "There is no such stream for this caller, or it ended too long ago.",
        "Send the request anew; the caller's key must be the one that began the stream.",
    ),
    "stream_gone": ErrorCode(
        errors.StreamGone,
        "Events after `Last-Event-ID` are not kept any more.",
        "Send the request anew; come back sooner, or raise `resumable.max_stream_bytes`.",
    ),
    "stream_lost": ErrorCode(
        errors.StreamGone,
        "The replica that had the stream has ended, and the rest of the answer with it.",
        "Send the request anew.",
    ),
    "stream_replaced": ErrorCode(
        errors.Conflict,
        "The same caller reads the stream on a newer connection.",
        "Read it there.",
    ),
    # Collectives.
    "too_few_members": ErrorCode(
        errors.TooFewMembers,
        "Fewer members answered than the quorum, and the request says `on_too_few: fail`.",
        "Try again after `Retry-After`, or allow `degrade`.",
    ),
    "unknown_template": ErrorCode(
        errors.InvalidRequest,
        "There is no template of this name.",
        "Name one of those that the message lists.",
    ),
    "invalid_caller": ErrorCode(
        errors.InvalidRequest,
        "`final: own` is for devices, and the request carries no device's token.",
        "Send the device's token as a bearer token.",
    ),
    "quota_exceeded": ErrorCode(
        errors.QuotaExceeded,
        "The caller asked more often than `collective.requests_per_minute` allows.",
        "Try again after `Retry-After`.",
    ),
    "idempotency_running": ErrorCode(
        errors.Conflict,
        "A request with the same `Idempotency-Key` is being answered.",
        "Send it again with the same key later.",
    ),
    "idempotency_mismatch": ErrorCode(
        errors.Conflict,
        "The `Idempotency-Key` was used for another body.",
        "Take a new key for a new request.",
    ),
    "unknown_answer": ErrorCode(
        errors.InvalidRequest,
        "Feedback names no answer of a collective, another caller's, or one that is too old.",
        "Give the answer's id, with the key that asked, within `collective.quality.feedback_s`.",
    ),
    "already_judged": ErrorCode(
        errors.Conflict, "The answer has been judged.", "Nothing; an answer is judged once."
    ),
    "being_judged": ErrorCode(
        errors.Conflict, "Somebody else is judging the answer.", "Try again in ten seconds."
    ),
    "empty_answer": ErrorCode(
        errors.EngineFailed,
        "The aggregator answered without a text.",
        "Try again, or name another aggregator.",
    ),
    "no_likelihood": ErrorCode(
        errors.EngineFailed,
        "The aggregator's engine gave no `prompt_logprobs`, which `best-of-n` needs.",
        "Name an aggregator on vLLM, or another way to aggregate.",
    ),
    "key_exists": ErrorCode(
        errors.Conflict,
        "There is a key of this name, or there are as many keys as there may be.",
        "Choose another name, rotate the key, or revoke it first.",
    ),
    "key_in_settings": ErrorCode(
        errors.Conflict,
        "The key stands under `keys.static` in the settings.",
        "Change the settings.",
    ),
    "keys_not_kept": ErrorCode(
        errors.Conflict,
        "The gateway keeps no keys but those of its settings.",
        "Set `keys.file`, or `state.redis`.",
    ),
    "keys_changed": ErrorCode(
        errors.Conflict, "Other operators change the keys at this moment.", "Try again."
    ),
    "unknown_key": ErrorCode(
        errors.UnknownKey, "There is no such key.", "`GET /v1/admin/keys` lists the keys."
    ),
    # Devices and their operators.
    "admin_disabled": ErrorCode(
        errors.Denied, "The operators' API is off.", "Set `admin.token` in the gateway's settings."
    ),
    "invalid_admin_token": ErrorCode(
        errors.Unauthenticated,
        "The admin token is missing or wrong.",
        "Send `Authorization: Bearer <admin token>`.",
    ),
    "invalid_device_token": ErrorCode(
        errors.Unauthenticated,
        "The device's token is missing, or is no device's.",
        "Enrol the device, or list its token under `devices.tokens`.",
    ),
    "revoked_device_token": ErrorCode(
        errors.Unauthenticated,
        "The enrolled device's token has been revoked.",
        "Enrol the device again if it may come back.",
    ),
    "unknown_device_token": ErrorCode(
        errors.Unauthenticated,
        "No enrolled device has this token: it was made up, or lost with the shared state.",
        "Enrol the device again; `GET /ready` tells by `state-emptied` that the state was emptied.",
    ),
    "privacy_class": ErrorCode(
        errors.Denied,
        "No tier that may see a request of this privacy class has the model.",
        "Ask another model or a device's own, or leave `x-tierflow-privacy` out.",
    ),
    "invalid_enrolment_token": ErrorCode(
        errors.Denied,
        "The enrolment token is unknown, expired or used.",
        "Have an operator make a new one.",
    ),
    "too_many_attempts": ErrorCode(
        errors.TooManyAttempts,
        "Too many wrong tokens of devices or enrolments came from this address.",
        "Try again after `Retry-After`.",
    ),
    "invalid_name": ErrorCode(
        errors.InvalidRequest,
        "The operator chose another name for this enrolment token.",
        "Leave `name` out.",
    ),
    "name_taken": ErrorCode(
        errors.Conflict,
        "A device of this name is enrolled.",
        "Choose another name, or revoke that device first.",
    ),
    "name_in_settings": ErrorCode(
        errors.Conflict,
        "The name stands under `devices.tokens` in the settings.",
        "Choose another name, or change the settings.",
    ),
    "unknown_device": ErrorCode(
        errors.UnknownDevice, "There is no such device.", "`GET /v1/devices` lists the devices."
    ),
    # Shared state.
    "state_lost": ErrorCode(
        errors.StateLost,
        "Redis can't be reached, and `state.when_lost` is `closed` or the operation needs it.",
        "Try again after `Retry-After`; `GET /ready` has the cause.",
    ),
    "state_refused": ErrorCode(
        errors.StateLost,
        "Redis refused an operation.",
        "Check the rights of the gateway's user in Redis.",
    ),
    "state_full": ErrorCode(
        errors.StateLost,
        "The state in the replica's memory is full.",
        "Raise `state.memory`, or use Redis.",
    ),
    "state_too_large": ErrorCode(
        errors.StateLost,
        "A value is larger than `state.max_value_bytes`.",
        "Raise the setting, or send less.",
    ),
    # The gateway itself.
    "internal_error": ErrorCode(
        GatewayError,
        "An error that the gateway does not expect: a fault of its own.",
        "Report it with the `internal_error` line of the gateway's log.",
    ),
}

INTERNAL_ERRORS: Mapping[str, str] = {
    "client_stalled": "The caller stopped reading its answer for `timeouts.idle_s`.",
    "unhealthy": "An engine did not pass the look at its health or models.",
    "timeout": "An engine did not answer the look at it within `scrape.timeout_s`.",
    "embedding_missing": "The files of the embedding model are not installed.",
    "embedding_broken": "The embedding model could not be run.",
}
"""Codes in logs, metrics and conditions of `/ready` alone."""
