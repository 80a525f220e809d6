"""The one error that handlers raise, rendered as vLLM renders its own."""

from typing import Any


class EngineError(Exception):
    """A refusal with an HTTP status; `kind` is the body's `type`, `param` the field at fault."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "BadRequestError",
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param

    def body(self) -> dict[str, Any]:
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.status,
            }
        }

    def anthropic_body(self) -> dict[str, Any]:
        """As vLLM writes it at the routes of Anthropic's API."""
        return {"type": "error", "error": {"type": self.kind, "message": self.message}}


def invalid(param: str, message: str, value: object = None) -> EngineError:
    """A 400 that names its parameter the way vLLM does."""
    suffix = f"(parameter={param}" + (f", value={value})" if value is not None else ")")
    return EngineError(f"{message} {suffix}", param=param)


def unknown_model(name: str, served: list[str]) -> EngineError:
    return EngineError(
        f"The model `{name}` does not exist. Valid aliases: {', '.join(served)}.",
        status=404,
        kind="NotFoundError",
        param="model",
    )
