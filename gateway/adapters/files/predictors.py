"""Reads predictors of the cascade: files, and those that are shipped."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import orjson

from gateway.core.cascade.predictor import Predictor, PredictorProblem, from_data
from gateway.errors import ConfigError

CAUTIOUS = "cautious"
MAX_BYTES = 1024 * 1024


def shipped() -> list[Predictor]:
    """Those that were fitted to a pair of models."""
    return [load_predictor(name) for name in sorted(_files()) if name != CAUTIOUS]


def load_predictor(name: str) -> Predictor:
    """Of this name among those that are shipped, else the file. Raises ConfigError."""
    try:
        file = _files().get(name)
        data = file.read_bytes() if file is not None else _read(Path(name))
        return from_data(orjson.loads(data))
    except OSError as error:
        raise ConfigError(
            f"cascade.predictor: {name}: {error.strerror}; name a file, or one of "
            f"{', '.join(sorted(_files()))}"
        ) from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"cascade.predictor: {name} is not valid JSON: {error.msg}") from error
    except PredictorProblem as error:
        raise ConfigError(f"cascade.predictor: {name}: {error}") from error


def _files() -> dict[str, Traversable]:
    folder = resources.files("gateway.core.cascade").joinpath("shipped")
    return {
        each.name.removesuffix(".json"): each
        for each in folder.iterdir()
        if each.name.endswith(".json")
    }


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"cascade.predictor: {path} has more than {MAX_BYTES} bytes")
    return path.read_bytes()
