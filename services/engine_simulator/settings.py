"""The command line and its settings; a bad flag or value ends in one line and exit code 2."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.protocol.configuration.parser import Parser
from services.engine_simulator.engine.faults import Faults, parse_flag
from services.engine_simulator.errors import EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The speed of the simulated machine.

    Rates are tokens per second; that of decoding is for one request alone.
    """

    prefill_tokens_per_s: float = 4000.0
    decode_tokens_per_s: float = 50.0
    batch_slowdown: float = 0.02
    max_num_seqs: int = 16
    max_batched_tokens: int = 2048
    kv_cache_tokens: int = 131072
    draft_tokens: int = 0
    acceptance_rate: float = 0.7
    unpaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one simulated engine.

    `weights` names the model whose answers it gives; "": those of the model that it serves.
    """

    model: str
    weights: str
    host: str
    port: int
    max_model_len: int
    seed: int
    embedding_dimensions: int
    max_body_bytes: int
    shutdown_timeout_s: int
    allow_fault_control: bool
    faults: Faults
    rates: Rates
    has_chat_template: bool = True


def _number(kind: type, low: float, high: float = 1e12) -> Callable[[str], float]:
    def check(text: str) -> float:
        try:
            value: float = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {kind.__name__} >= {low:g}")
        return value

    return check


def _parser() -> Parser:
    parser = Parser(
        prog="python -m services.engine_simulator",
        description="A deterministic vLLM look-alike.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    default, natural, rate = Rates(), _number(int, 1), _number(float, 1e-3)
    share = _number(float, 0, 1)
    add = parser.add_argument
    add("--model", required=True, help="name the model is served by")
    add("--weights", default="", metavar="MODEL",
        help="give this model's answers; engines with equal weights answer alike")  # fmt: skip
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=_number(int, 0, 65535), default=8000, help="port; 0 takes a free one")
    add("--prefill-tokens-per-s", type=rate, default=default.prefill_tokens_per_s, help="prefill")
    add("--decode-tokens-per-s", type=rate, default=default.decode_tokens_per_s,
        help="decode rate of one request alone")  # fmt: skip
    add("--batch-slowdown", type=_number(float, 0), default=default.batch_slowdown,
        help="how much longer a step takes per further running request, as a share")  # fmt: skip
    add("--max-num-seqs", type=natural, default=default.max_num_seqs, help="requests that run")
    add("--max-num-batched-tokens", type=natural, default=default.max_batched_tokens,
        help="prompt tokens prefilled in one step")  # fmt: skip
    add("--kv-cache-tokens", type=natural, default=default.kv_cache_tokens, help="KV capacity")
    add("--max-model-len", type=natural, default=4096, help="context length")
    add("--no-chat-template", action="store_true",
        help="refuse chats, as an engine does whose model has no template")  # fmt: skip
    add("--num-speculative-tokens", type=_number(int, 0, 64), default=0, help="drafted per step")
    add("--acceptance-rate", type=share, default=default.acceptance_rate, help="of drafts")
    add("--unpaced", action="store_true", help="answer at once, ignoring the rates")
    add("--seed", type=_number(int, 0), default=0, help="seed of faults and acceptance")
    add("--embedding-dimensions", type=_number(int, 1, 8192), default=64, help="vector length")
    add("--max-body-bytes", type=natural, default=32 * 2**20, help="largest request body")
    add("--shutdown-timeout", type=_number(int, 0), default=1,
        help="seconds that running requests have to end once it is asked to")  # fmt: skip
    add("--fault", action="append", default=[], metavar="NAME[=VALUE][@REQUESTS]",
        help="a fault in force from the start; may be repeated")  # fmt: skip
    add("--allow-fault-control", action="store_true", help="serve /simulator/faults")
    return parser


def parse_arguments(argv: Sequence[str] | None = None) -> Settings:
    """Exits with code 2 and one line on standard error when an argument is wrong."""
    parser = _parser()
    options = parser.parse_args(argv)
    faults = Faults(options.seed)
    for text in options.fault:
        try:
            name, value, requests = parse_flag(text)
            faults.set(name, value.split(",") if name == "models" else value, requests)
        except (EngineError, ValueError) as exc:
            parser.error(f"--fault {text}: {exc}")
    rates = Rates(
        prefill_tokens_per_s=options.prefill_tokens_per_s,
        decode_tokens_per_s=options.decode_tokens_per_s,
        batch_slowdown=options.batch_slowdown,
        max_num_seqs=options.max_num_seqs,
        max_batched_tokens=options.max_num_batched_tokens,
        kv_cache_tokens=options.kv_cache_tokens,
        draft_tokens=options.num_speculative_tokens,
        acceptance_rate=options.acceptance_rate,
        unpaced=options.unpaced,
    )
    return Settings(
        model=options.model,
        weights=options.weights,
        host=options.host,
        port=options.port,
        max_model_len=options.max_model_len,
        has_chat_template=not options.no_chat_template,
        seed=options.seed,
        embedding_dimensions=options.embedding_dimensions,
        max_body_bytes=options.max_body_bytes,
        shutdown_timeout_s=options.shutdown_timeout,
        allow_fault_control=options.allow_fault_control,
        faults=faults,
        rates=rates,
    )
