"""Lines of helm and kubectl: what helm would install is rendered, and what kubectl names must be
among it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from k8s.preflight.failure import UsageFailure
from k8s.preflight.rendering import merged, overlay
from k8s.preflight.settings import READERS, Setting, with_settings
from tests.charts.helm import Rendering
from tests.documents.blocks import CHECKOUT, Block, BrokenExample, blocks_of, examples_of
from tests.documents.data import rendered
from tests.documents.shell import Call, Options, calls, options

OWN = "…"
"""Stands for what is the reader's own."""
_SETS = tuple(f"--{flag}" for flag in READERS)
_FILES = ("-f", "--values")
_VALUED = (*_FILES, *_SETS, "-n", "--namespace", "--version", "--timeout")
_SWITCHES = ("--create-namespace", "--logs", "--wait", "--atomic", "--reuse-values")
_INSTALLS = ("install", "upgrade")
_OF_A_RELEASE = ("rollback", "test", "uninstall", "status")
_KUBECTL_VALUED = (
    *("-n", "--namespace", "-l", "--selector", "-o", "--output", "--for", "--timeout"),
    *("--from-literal", "--from-file"),
)
_KEY = re.compile(r"jsonpath=\{\.data\.([\w.\\-]+)\}")


def helm(call: Call) -> None:
    given = options(call.words[1:], switches=_SWITCHES, valued=_VALUED)
    command, *others = given.words
    if command in _INSTALLS:
        if len(others) != 2:
            raise BrokenExample(f"helm {command} needs a release and a chart")
        rendering(call)
    elif command == OWN:
        rendering(call)
    elif command not in _OF_A_RELEASE or len(others) != 1:
        raise BrokenExample(f"helm {' '.join(given.words)}: can't be understood")


def rendering(call: Call) -> Rendering:
    """What helm would install, with nothing for the files that are the reader's own."""
    given = options(call.words[1:], switches=_SWITCHES, valued=_VALUED)
    if given.words == [OWN]:
        return _added(call, given)
    release, place = given.words[1:]
    chart = place.rpartition("/")[2]
    described = CHECKOUT / "charts" / chart / "Chart.yaml"
    if not described.is_file() or place not in (f"charts/{chart}", _pushed(chart)):
        raise BrokenExample(f"there is no chart {place}")
    version = yaml.safe_load(described.read_text())["version"]
    if given.given.get("--version", [version]) != [version]:
        raise BrokenExample(f"the version of {place} is {version}")
    try:
        values = with_settings(_values(call.page, given), _settings(given))
    except UsageFailure as failure:
        raise BrokenExample(str(failure)) from failure
    return rendered(values, chart, release)


def _added(call: Call, given: Options) -> Rendering:
    """What the page's install before this line makes with the line's options as well."""
    before = None
    for block in blocks_of(call.page, (CHECKOUT / call.page).read_text()):
        for each in _calls(block):
            if each.words == call.words:
                break
            if each.program == "helm" and each.words[1] == "install":
                before = each
        else:
            continue
        break
    if before is None:
        raise BrokenExample(f"{' '.join(call.words)}: no install stands before it")
    return rendering(Call(call.page, (*before.words, *call.words[2:])))


def _pushed(chart: str) -> str:
    return f"oci://registry.example.org/charts/{chart}"


def _settings(given: Options) -> list[Setting]:
    return [
        Setting(flag.removeprefix("--"), text)
        for flag in _SETS
        for text in given.given.get(flag, ())
    ]


def _values(page: str, given: Options) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for flag in _FILES:
        for name in given.given.get(flag, ()):
            if name == OWN:
                continue
            if (CHECKOUT / name).is_file():
                values = overlay(values, merged([CHECKOUT / name]))
            else:
                values = overlay(values, _shown(page, name))
    return values


def _shown(page: str, name: str) -> dict[str, Any]:
    """The values that the page shows for this file: those that name the file's pool."""
    for block in blocks_of(page, (CHECKOUT / page).read_text()):
        if block.language == "yaml":
            values = yaml.safe_load(block.text)
            if f"{values.get('pool')}.yaml" == name:
                return dict(values)
    raise BrokenExample(f"there is no file {name}, and the page shows none")


@cache
def _on_page(page: str) -> Sequence[Rendering]:
    """What the page installs, and the chart with nothing but its defaults."""
    found = [rendered({}, "tierflow")]
    for block in blocks_of(page, (CHECKOUT / page).read_text()):
        for call in _calls(block):
            if call.program == "helm" and call.words[1] in (*_INSTALLS, OWN):
                found.append(rendering(call))
    return found


def _calls(block: Block) -> Iterator[Call]:
    for example in examples_of(block):
        if not example.in_python:
            yield from calls(block.page, example.text)


def kubectl(call: Call) -> None:
    given = options(call.words[1:], valued=_KUBECTL_VALUED)
    match given.words:
        case ["create", "namespace", _]:
            pass
        case ["create", "secret", "generic", name]:
            flags = ("--from-literal", "--from-file")
            keys = [text.split("=")[0] for flag in flags for text in given.given.get(flag, ())]
            _check_used(call.page, name, keys)
        case ["get", "secret", name]:
            for key in _KEY.findall(" ".join(given.given.get("-o", ()))):
                _check_key(call.page, name, key.replace("\\", ""))
        case ["get", "pvc"] | ["wait", "pod"]:
            _check_labels(call.page, given)
        case ["port-forward", target, ports]:
            name = target.removeprefix("svc/")
            _check_port(call.page, name, int(ports.split(":")[1]))
        case ["rollout", "restart", "deployment", name]:
            _one(call.page, "Deployment", name)
        case _:
            raise BrokenExample(f"kubectl {' '.join(given.words)}: can't be understood")


def _one(page: str, kind: str, name: str) -> Sequence[Mapping[str, Any]]:
    """Objects of this name, as each of the page's installs makes it."""
    found = [
        each
        for made in _on_page(page)
        for each in made.of_kind(kind)
        if each["metadata"]["name"] == name
    ]
    if not found:
        raise BrokenExample(f"no install of {page} makes the {kind} {name}")
    return found


def _check_key(page: str, name: str, key: str) -> None:
    secrets = _one(page, "Secret", name)
    keys = {
        key for each in secrets for part in ("data", "stringData") for key in each.get(part, {})
    }
    if key not in keys:
        raise BrokenExample(f"the Secret {name} has no {key}, only {', '.join(sorted(keys))}")


def _check_port(page: str, name: str, port: int) -> None:
    ports = {p["port"] for each in _one(page, "Service", name) for p in each["spec"]["ports"]}
    if port not in ports:
        raise BrokenExample(f"the Service {name} has no port {port}, only {sorted(ports)}")


def _check_labels(page: str, given: Options) -> None:
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for made in _on_page(page)
        for each in made.of_kind("Deployment", "StatefulSet")
    ]
    for selector in given.given.get("-l", ()):
        for term in re.split(r",", selector):
            name, _, value = term.replace("!=", "=").partition("=")
            if not any(name in each for each in labels) or (
                "!=" not in term and not any(each.get(name) == value for each in labels)
            ):
                raise BrokenExample(f"no pod has the label {term}")


@cache
def _texts(page: str) -> Sequence[str]:
    return [json.dumps(each) for made in _on_page(page) for each in made.objects]


def _check_used(page: str, name: str, keys: Sequence[str]) -> None:
    """A Secret that readers make is one that an install reads, or makes itself, by these keys; or
    one that takes the place of the bundled Redis's, with that one's keys."""
    named = [each for each in _texts(page) if re.search(rf"\b{re.escape(name)}\b", each)]
    if not named:
        bundled = {"redis.conf", "url"}
        if set(keys) != bundled:
            raise BrokenExample(f"nothing reads the Secret {name} with {', '.join(keys)}")
        return
    for key in keys:
        if not any(re.search(rf"\b{re.escape(key)}\b", each) for each in named):
            raise BrokenExample(f"nothing reads {key} of the Secret {name}")
