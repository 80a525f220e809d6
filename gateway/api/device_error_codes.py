"""The codes of errors that devices are told in frames, and of work that members could not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameErrorCode:
    """A code in an `error` frame to a device. `about` says what it ends: see docs/errors.md."""

    about: str
    meaning: str


FRAME_ERRORS: Mapping[str, FrameErrorCode] = {
    "bad_frame": FrameErrorCode(
        "frame", "The frame is not msgpack, of unknown kind, or has a field out of bounds."
    ),
    "unknown_session": FrameErrorCode("frame", "This connection never opened a session so named."),
    "session_exists": FrameErrorCode("frame", "`open` has a number that was used before."),
    "position_ahead": FrameErrorCode("frame", "The draft is too far ahead of what is verified."),
    "position_behind": FrameErrorCode("frame", "The draft is too far behind what is verified."),
    "id_beyond_vocabulary": FrameErrorCode("frame", "The engine does not have a drafted token id."),
    "flood": FrameErrorCode(
        "frame or session",
        "Too many draft tokens, sessions or registrations came in a second; this is dropped.",
    ),
    "not_registered": FrameErrorCode("frame", "`register` must come first."),
    "instance_changed": FrameErrorCode("frame", "One connection has one instance."),
    "unknown_work": FrameErrorCode("frame", "The number of the work was never given."),
    "work_over": FrameErrorCode("frame", "The work of this number is over."),
    "answer_too_long": FrameErrorCode("frame", "The answer exceeds its budget; it is cut off."),
    "bad_open": FrameErrorCode(
        "session",
        "`open` has neither or both of `prompt` and `messages`, no JSON in them, or token ids that "
        "the model does not have.",
    ),
    "too_many_sessions": FrameErrorCode("session", "Wait for a `done` before you open another."),
    "tokenizer_differs": FrameErrorCode(
        "session",
        "The device's tokenizer differs from the tier's; use a model of its family.",
    ),
    "tokenizer_unknown": FrameErrorCode(
        "session", "The tier's engines have no `/tokenize`, so token ids can't be compared."
    ),
    "draining": FrameErrorCode(
        "session, or nothing",
        "The gateway is about to stop: connect again, to another replica. What is under way goes "
        "on, and the connection is closed with status 1012 once nothing is.",
    ),
    "hello_expected": FrameErrorCode("connection", "The first frame must be `hello`."),
    "version_unsupported": FrameErrorCode(
        "connection", "The gateway speaks another version of the protocol."
    ),
    "lease_expired": FrameErrorCode("connection", "No frame came for `devices.lease_s`."),
    "replaced": FrameErrorCode(
        "connection", "The device has come back on a newer connection with the same token."
    ),
    "revoked": FrameErrorCode("connection", "The device's token has been revoked."),
    "unknown_token": FrameErrorCode(
        "connection",
        "The enrolled device's token was lost with the gateway's shared state; enrol it again.",
    ),
    "duplicate_device": FrameErrorCode(
        "connection", "Another process is registered with the same token."
    ),
    "owner_differs": FrameErrorCode("connection", "Another owner is recorded for this token."),
    "privacy_not_allowed": FrameErrorCode(
        "connection", "The device was not enrolled for this privacy class."
    ),
    "too_many_errors": FrameErrorCode(
        "connection", "A hundred frames were refused, less one for each second."
    ),
    "too_many_frames": FrameErrorCode("connection", "More than 5000 frames came in a second."),
    "too_slow": FrameErrorCode(
        "connection", "The device did not read while 1 MiB waited for it; only the close says it."
    ),
}
"""A session also ends with codes of `error_codes.HTTP_ERRORS`, see `SESSION_ERRORS`."""

SESSION_ERRORS = (
    "model_not_found", "no_endpoint", "overloaded", "prompt_too_long", "engine_refused",
    "connect_failed", "connect_timeout", "stale_connection", "first_token_timeout",
    "idle_timeout", "engine_disconnected", "engine_busy", "engine_denied", "engine_error",
    "error_event", "engine_aborted", "unreadable_answer", "internal_error",
    "deadline_exceeded", "draining", "drained",
)  # fmt: skip
"""The codes of `error_codes.HTTP_ERRORS` that an `error` frame may carry about a session."""

WORK_ERRORS: Mapping[str, str] = {
    "busy": "The device, or the way to it, has as much work as it takes.",
    "hot": "The device is too hot.",
    "battery": "The device's battery is too low.",
    "private": "The device does not answer questions of this caller.",
    "unable": "The device can't do this work, or gave it up.",
    "too_long": "The question is larger than a device takes.",
    "deadline": "The deadline passed.",
    "lost": "The device's connection, its gateway, or a part of the answer was lost.",
    "unknown": "The device is not registered.",
    "misbehaved": "The device sent more than it was asked for.",
    "cancelled": "Whoever asked wanted no more of it.",
    "empty": "The device answered without a text.",
    "broken": "The device's answer ended with neither `stop` nor `length`.",
}
"""Why a member's work failed: in a collective's reply and in metrics, never an HTTP error."""
