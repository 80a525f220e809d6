"""Models by their ids on the Hugging Face hub, as folders of the hub's own cache.

The cache, its offline switch and the token are those of the hub's client: HF_HOME, HF_HUB_OFFLINE,
HF_TOKEN, HF_ENDPOINT. What is there already is not fetched again, and serves while the hub is away.
The client itself is imported where it is needed.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
WORDS = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
"""Patterns of what a model needs beside its weights: configuration, tokenizer, chat template."""
WEIGHTS = ("*.safetensors",)
OLD_WEIGHTS = ("*.bin",)
"""Where there are no others."""
CODE = ("*.py",)
LEFT_OUT = ("original/*", "onnx/*", "consolidated*", "training_args.bin")
ANSWER_S = 8.0
"""The wait for a first answer, in seconds."""
PUBLIC_HUB = "https://huggingface.co"


class HubFailed(Exception):
    """A model can't be fetched; one line that names the cause and what to do."""


def is_hub_id(model: str) -> bool:
    """Whether it is written as an id on the hub, owner/name, and no folder."""
    return HUB_ID.fullmatch(model) is not None and not Path(model).is_dir()


def hub_name(model: str) -> str:
    """The last part of an id or of a folder's path: the name under which a model is served."""
    return model.rstrip("/").rsplit("/", 1)[-1]


def fetch_words(model: str) -> Path:
    """The folder with all but the weights. Raises HubFailed."""
    return fetch(model, WORDS)


def fetch_model(model: str, target: Path | None = None) -> Path:
    """The folder with everything that an engine reads: its weights once, not in every format that
    the hub has them in. `target`, a folder, takes the files themselves in place of the cache.

    Raises HubFailed.
    """
    folder = fetch(model, (*WORDS, *WEIGHTS, *CODE), target)
    if any(folder.glob(WEIGHTS[0])):
        return folder
    folder = fetch(model, (*WORDS, *OLD_WEIGHTS, *CODE), target)
    if not any(folder.glob(OLD_WEIGHTS[0])):
        raise HubFailed(
            f"{model}: the hub has no weights of it in {WEIGHTS[0]} or {OLD_WEIGHTS[0]}"
        )
    return folder


def fetch(model: str, patterns: Sequence[str], target: Path | None = None) -> Path:
    """The folder with the files that match `patterns`. Raises HubFailed."""
    # Read when the client is imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download

    # It would warn of each try that it makes again.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    silence = _silence(model)
    try:
        return Path(
            snapshot_download(
                model,
                allow_patterns=list(patterns),
                ignore_patterns=list(LEFT_OUT),
                local_dir=target,
                local_files_only=silence is not None,
            )
        )
    except Exception as error:
        # The client raises its own kinds, those of its HTTP library, and OSError. Its messages run
        # over several lines, and none is shown: an address may hold a password.
        raise HubFailed(f"{model}: {_reason(error, silence, model, os.environ)}") from None


def _silence(model: str) -> Exception | None:
    """The timeout of a hub that does not answer: for its first answer the client would wait without
    end. Whatever else is wrong, it says itself."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(model, timeout=ANSWER_S)
    except Exception as error:
        return error if "Timeout" in type(error).__name__ else None
    return None


def _reason(
    error: Exception, silence: Exception | None, model: str, environ: Mapping[str, str]
) -> str:
    from huggingface_hub import errors

    hub = urlsplit(environ.get("HF_ENDPOINT") or PUBLIC_HUB)
    host, token = hub.hostname or "the hub", bool(environ.get("HF_TOKEN"))
    if isinstance(error, errors.GatedRepoError):
        which = "the account of HF_TOKEN may not read it" if token else "it needs HF_TOKEN"
        port = f":{hub.port}" if hub.port else ""
        page = f"{hub.scheme}://{host}{port}/{model}"
        return f"{host} gives it only to accounts that its owner lets in, and {which}: see {page}"
    if _status(error) == 401 and token and not isinstance(error, errors.RepositoryNotFoundError):
        return f"{host} does not accept the token in HF_TOKEN"
    if isinstance(error, errors.RepositoryNotFoundError):
        private = "HF_TOKEN may not read it" if token else "it is private and needs HF_TOKEN"
        return f"{host} has no such model, or {private}; correct the id, or give a folder"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return _absent(silence or error.__cause__, host)
    if isinstance(error, OSError) and error.strerror:
        return f"it can't be written to the cache (HF_HOME): {error.strerror}"
    status = f", status {_status(error)}" if _status(error) else ""
    return f"{host} did not give it ({type(error).__name__}{status}); try again, or give a folder"


def _absent(cause: BaseException | None, host: str) -> str:
    """The hub was not asked, or did not answer, and the cache lacks something."""
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE or isinstance(cause, errors.OfflineModeIsEnabled):
        return (
            f"the cache {constants.HF_HUB_CACHE} has not all of it, and HF_HUB_OFFLINE is set; "
            "fetch it once without, or give a folder"
        )
    status = _status(cause)
    why = (
        f"answered with status {status}" if status else f"can't be reached ({type(cause).__name__})"
    )
    return f"{host} {why}; check the network, HF_ENDPOINT and proxies, or give a folder"


def _status(error: BaseException | None) -> int:
    """Of the HTTP answer that an error is about; 0 where there was none."""
    return int(getattr(getattr(error, "response", None), "status_code", 0))
