"""Asks registries for which architectures an image exists, over the OCI distribution API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from k8s.preflight.facts import Manifest, Reading, Unread
from k8s.preflight.images import Image, image

ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
AT_ONCE = 4
ABSENT = Manifest(frozenset())


class NoAnswer(Exception):
    """A registry that does not say whether it has the image; one phrase."""


def look_up(names: Iterable[str], timeout_s: float) -> Mapping[str, Reading[Manifest]]:
    """By image name. `timeout_s` holds for each request."""
    ordered = sorted(set(names))
    with httpx.Client(timeout=timeout_s, follow_redirects=True) as http:

        def reading_of(name: str) -> Reading[Manifest]:
            try:
                return manifest(http, image(name))
            except NoAnswer as why:
                return Unread(str(why))
            except httpx.TimeoutException:
                return Unread(f"{image(name).registry} does not answer within {timeout_s:g} s")
            except (httpx.HTTPError, httpx.InvalidURL):
                return Unread(f"{image(name).registry} can't be reached from here")
            except (ValueError, KeyError, TypeError, AttributeError):
                return Unread(f"what {image(name).registry} answers is no manifest")

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return dict(zip(ordered, threads.map(reading_of, ordered), strict=True))


def manifest(http: httpx.Client, target: Image) -> Manifest:
    """Raises NoAnswer, and httpx's errors."""
    base = f"{target.url}/v2/{target.repository}"
    address = f"{base}/manifests/{target.reference}"
    headers = {"Accept": ACCEPTED}
    answer = http.get(address, headers=headers)
    token = ""
    if answer.status_code == 401:
        token = _anonymous_token(http, target, answer.headers.get("www-authenticate", ""))
        headers["Authorization"] = f"Bearer {token}"
        answer = http.get(address, headers=headers)
    if answer.status_code == 404:
        return ABSENT
    if answer.status_code in (401, 403):
        raise NoAnswer(_private(target))
    if answer.status_code != 200:
        raise NoAnswer(f"{target.registry} answers with status {answer.status_code}")
    body = answer.json()
    if "manifests" in body:
        return Manifest(frozenset(_listed(body["manifests"])))
    # The manifest of a single architecture names it in its configuration only.
    headers["Accept"] = "*/*"
    config = http.get(f"{base}/blobs/{body['config']['digest']}", headers=headers)
    if config.status_code != 200:
        raise NoAnswer(f"{target.registry} answers with status {config.status_code}")
    return Manifest(frozenset({config.json()["architecture"]}))


def _listed(manifests: Iterable[Mapping[str, Any]]) -> set[str]:
    """Attestations are listed beside the images, as of an unknown platform."""
    platforms = [entry.get("platform") or {} for entry in manifests]
    architectures = {
        platform["architecture"] for platform in platforms if platform.get("os") == "linux"
    }
    return architectures - {"unknown"}


def _anonymous_token(http: httpx.Client, target: Image, challenge: str) -> str:
    """The token that a registry's token service gives to anybody. Raises NoAnswer."""
    scheme, _, rest = challenge.partition(" ")
    parameters = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    realm = parameters.get("realm", "")
    if scheme.lower() != "bearer" or not realm.startswith(("http://", "https://")):
        raise NoAnswer(_private(target))
    query = {"scope": f"repository:{target.repository}:pull"}
    if "service" in parameters:
        query["service"] = parameters["service"]
    answer = http.get(realm, params=query)
    if answer.status_code != 200:
        raise NoAnswer(_private(target))
    body = answer.json()
    token = body.get("token") or body.get("access_token")
    if not token:
        raise NoAnswer(_private(target))
    return str(token)


def _private(target: Image) -> str:
    return f"{target.registry} asks for credentials, or has no such image"
