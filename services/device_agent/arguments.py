"""The command line of the agent: its options, and the checks of their values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from gateway.protocol.configuration.parser import Parser
from gateway.protocol.configuration.variables import variables_problem
from gateway.protocol.device_link.work import MAX_WORK, Privacy
from gateway.protocol.model_hub import WORDS, HubFailed, fetch, is_hub_id
from services.device_agent.drafters.registry import KINDS
from services.device_agent.link.enrolment import DeviceToken, read_token
from services.device_agent.link.gateway_tls import GatewayTls, TlsFilesUnusable
from services.device_agent.link.greeting import TokenMissing, websocket_url
from services.device_agent.membership.sensors import SYSFS

GRAPHS = ("*.onnx", "*.onnx_data", "*.onnx.data", "*.safetensors")
"""Patterns of graphs, and of the files in which their weights lie."""
DEVICE_TOKEN = "TIERFLOW_DEVICE_TOKEN"
ENROLMENT_TOKEN = "TIERFLOW_ENROLMENT_TOKEN"


class ArgumentFailure(Exception):
    """An argument can't be used; one line that names it."""


@dataclass(frozen=True)
class AgentDefaults:
    """What holds where the command line does not say. `model`: None, it has to."""

    model: Path | None = None
    port: int = 8090


def parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="python -m services.device_agent",
        description="Answers on a device, drafts for the servers, and works as a member.",
        epilog="`python -m services.device_agent enrol --help`: get a token for this device.",
    )
    add_arguments(top)
    return top


def add_arguments(top: argparse.ArgumentParser, defaults: AgentDefaults = AgentDefaults()) -> None:
    """What a parser takes for an agent that serves."""
    top.add_argument(
        "--gateway",
        help="its URL, or several with commas between; without it the device answers alone",
    )
    top.add_argument(
        "--model",
        type=Path,
        required=defaults.model is None,
        default=defaults.model,
        help="folder of the small model, or its id on the model hub"
        + (f"; default: {defaults.model}" * bool(defaults.model)),
    )
    top.add_argument(
        "--token-file", type=Path, help=f"holds the device token (or set {DEVICE_TOKEN})"
    )
    top.add_argument("--host", default="127.0.0.1")
    top.add_argument(
        "--port", type=int, default=defaults.port, help="of its API; default: %(default)s"
    )
    _gateway_files(top)
    _web(top)
    top.add_argument("--no-api", action="store_true", help="a member without an API of its own")
    top.add_argument("--drafter", choices=KINDS, default="onnx", help="default: %(default)s")
    top.add_argument("--engine-url", help="for --drafter openai")
    top.add_argument("--engine-model", help="for --drafter openai; default: the first it serves")
    top.add_argument("--threads", type=int, default=1, help="of the drafter; default: 1")
    top.add_argument(
        "--least-privacy",
        choices=get_args(Privacy),
        default="public",
        help="the least class of this device's requests: whose eyes they may meet; "
        "default: %(default)s",
    )
    top.add_argument("--spoil", type=float, default=0.0, help=argparse.SUPPRESS)
    top.add_argument("--least-step-ms", type=float, default=0.0, help=argparse.SUPPRESS)
    _membership(top)
    _enrolment(top)


def enrolment_parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="python -m services.device_agent enrol",
        description="Exchange an enrolment token for a token of this device.",
    )
    add_enrolment_arguments(top)
    return top


def add_enrolment_arguments(top: argparse.ArgumentParser) -> None:
    """What a parser takes for an agent that enrols and ends."""
    top.add_argument("--gateway", required=True, help="its URL")
    top.add_argument("--token-file", type=Path, required=True, help="the file to write")
    _gateway_files(top)
    _enrolment(top)


def _gateway_files(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("TLS to the gateway, by PEM files")
    group.add_argument(
        "--gateway-ca", type=Path, help="authorities to trust; default: the system's"
    )
    group.add_argument(
        "--gateway-certificate", type=Path, help="for a gateway that asks devices for theirs"
    )
    group.add_argument("--gateway-key", type=Path, help="the key of --gateway-certificate")


def gateway_tls(arguments: argparse.Namespace) -> GatewayTls:
    """Raises ArgumentFailure."""
    if (arguments.gateway_certificate is None) != (arguments.gateway_key is None):
        raise ArgumentFailure("--gateway-certificate, --gateway-key: give both, or none")
    tls = GatewayTls(
        ca=arguments.gateway_ca,
        certificate=arguments.gateway_certificate,
        key=arguments.gateway_key,
    )
    try:
        tls.context()
    except TlsFilesUnusable as exc:
        raise ArgumentFailure(f"--gateway-ca, --gateway-certificate, --gateway-key: {exc}") from exc
    return tls


def _web(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("web pages")
    group.add_argument(
        "--allowed-hosts",
        metavar="NAMES",
        help="by which requests may call the API, with commas between; on a loopback address its "
        "own names are always among them; default: those, and elsewhere any",
    )
    group.add_argument(
        "--allowed-origins",
        metavar="ORIGINS",
        help="of web pages that may ask, such as http://localhost:3000, with commas between; "
        "default: none but the API's own, and elsewhere than on loopback any",
    )


def listed(names: str | None) -> list[str] | None:
    """What stands between commas; None where nothing is given."""
    return None if names is None else [each.strip() for each in names.split(",") if each.strip()]


def _membership(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("as a member")
    group.add_argument("--no-member", action="store_true", help="only draft, take no work")
    group.add_argument("--describe", help="what it is good at; default: as in the model's folder")
    group.add_argument("--tags", help="separated by commas; default: as in the model's folder")
    group.add_argument("--owner", default="", help="whose device it is")
    group.add_argument("--privacy", choices=get_args(Privacy), default="public", help="whose work")
    group.add_argument("--max-work", type=int, default=2, help="at once; default: %(default)s")
    group.add_argument("--hot-celsius", type=float, default=90.0, help="default: %(default)s")
    group.add_argument("--min-battery", type=float, default=0.3, help="default: %(default)s")
    group.add_argument("--sysfs", type=Path, default=SYSFS, help=argparse.SUPPRESS)


def _enrolment(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("enrolment")
    group.add_argument(
        "--enrolment-token-file",
        type=Path,
        help=f"holds the enrolment token (or set {ENROLMENT_TOKEN})",
    )
    group.add_argument("--name", help="at the gateway; default: the one that the operator chose")


def check(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> None:
    """The checks that need no file. Raises ArgumentFailure."""
    if problem := variables_problem(environ):
        raise ArgumentFailure(problem)
    bounds: Sequence[tuple[str, float, float]] = (
        ("spoil", 0, 1),
        ("port", 1, 65535),
        ("threads", 1, 1024),
        ("max_work", 1, MAX_WORK),
        ("hot_celsius", 20, 150),
        ("min_battery", 0, 1),
    )
    for name, low, high in bounds:
        value = getattr(arguments, name)
        if not low <= value <= high:
            flag = name.replace("_", "-")
            raise ArgumentFailure(f"--{flag} {value}: must be {low} to {high}")
    check_model(arguments)
    if arguments.no_api and (arguments.no_member or not arguments.gateway):
        raise ArgumentFailure(
            "--no-api leaves nothing to do: it needs --gateway, and no --no-member"
        )
    if arguments.gateway:
        check_gateway(arguments.gateway)


def check_model(arguments: argparse.Namespace) -> None:
    """Raises ArgumentFailure where there is no such folder."""
    if not arguments.model.is_dir() and not is_hub_id(str(arguments.model)):
        raise ArgumentFailure(f"--model {arguments.model}: no such folder")


def model_folder(arguments: argparse.Namespace) -> Path:
    """Of a model on the hub, where it lies in the hub's cache: of several forms of its weights only
    the one that the drafter reads. Raises ArgumentFailure."""
    model = str(arguments.model)
    if not is_hub_id(model):
        return Path(arguments.model)
    try:
        if arguments.drafter == "openai":
            return fetch(model, WORDS)
        if arguments.drafter == "llama":
            raise ArgumentFailure(
                f"--model {model}: on the hub there may be several .gguf files; with --drafter "
                "llama, give a folder with one"
            )
        folder = fetch(model, (*WORDS, "*.onnx"))
        if not any(folder.glob("*.onnx")):
            raise ArgumentFailure(
                f"--model {model}: the hub has no .onnx file of it; write one with `python -m "
                f"services.model_family onnx --model {model} --target FOLDER`, and give that folder"
            )
        return fetch(model, (*WORDS, *GRAPHS))
    except HubFailed as failure:
        raise ArgumentFailure(f"--model {failure}") from failure


def check_gateway(urls: str) -> None:
    """Raises ArgumentFailure."""
    try:
        for url in gateway_urls(urls):
            websocket_url(url)
    except ValueError as exc:
        raise ArgumentFailure(f"--gateway: {exc}") from exc


def gateway_urls(urls: str | None) -> list[str]:
    """The gateways that --gateway names, in the order in which they are tried."""
    return [url.strip().rstrip("/") for url in (urls or "").split(",") if url.strip()]


def device_token(
    arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> DeviceToken:
    """Raises ArgumentFailure where there is no token and no way to get one."""
    file: Path | None = arguments.token_file
    token = "" if file else environ.get(DEVICE_TOKEN, "").strip()
    enrolment = enrolment_token(arguments, environ)
    try:
        if file is not None and not enrolment and not read_token(file):
            raise ArgumentFailure(
                f"--token-file {file}: is missing or empty; give an enrolment token to get one"
            )
    except TokenMissing as exc:
        raise ArgumentFailure(f"--token-file: {exc}") from exc
    if arguments.gateway and not token and file is None:
        if enrolment:
            raise ArgumentFailure("--token-file: needed to keep the token that enrolment gives")
        raise ArgumentFailure(
            f"--gateway needs a device token: give --token-file or set {DEVICE_TOKEN}"
        )
    return DeviceToken(
        token=token,
        file=file,
        gateways=gateway_urls(arguments.gateway),
        enrolment_token=enrolment,
        name=arguments.name,
        tls=gateway_tls(arguments),
    )


def enrolment_token(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> str:
    """Empty where there is none. Raises ArgumentFailure."""
    file: Path | None = arguments.enrolment_token_file
    if file is None:
        return environ.get(ENROLMENT_TOKEN, "").strip()
    try:
        return file.read_text().strip()
    except OSError as exc:
        raise ArgumentFailure(f"--enrolment-token-file {file}: {exc.strerror}") from exc
