"""Which tiers and models a key is for."""

from __future__ import annotations

from gateway.core.access.key import Scope
from gateway.errors import OutOfScope


def check_tier(key: str, scope: Scope, tier: str, model: str) -> None:
    """Raises OutOfScope where this tier would answer and the key is not for it."""
    if scope.tiers is not None and tier not in scope.tiers:
        raise tier_not_allowed(key, scope, model)


def check_model(key: str, scope: Scope, model: str, param: str) -> None:
    """Raises OutOfScope where the caller names a model, in the field `param`, that the key is not
    for."""
    if scope.models is not None and model not in scope.models:
        raise OutOfScope(
            f"{param}: the key {key} may not use the model {model!r}; GET /v1/models lists those "
            "that it may",
            param=param,
            code="model_not_allowed",
        )


def tier_not_allowed(key: str, scope: Scope, model: str) -> OutOfScope:
    """`model`: as the caller named it."""
    allowed = ", ".join(sorted(scope.tiers or ()))
    return OutOfScope(
        f"the key {key} may not use the tiers that would answer {model}; it may use: {allowed}",
        param="model",
        code="tier_not_allowed",
    )
