"""Names of images, taken apart. Pure."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_REGISTRY = "docker.io"
DEFAULT_HOST = "registry-1.docker.io"
DEFAULT_FOLDER = "library"


@dataclass(frozen=True, kw_only=True)
class Image:
    """A complete image name, `registry/folder/name:tag`."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def reference(self) -> str:
        """What is asked of the registry."""
        return self.digest or self.tag

    @property
    def url(self) -> str:
        """Of the registry. One on this machine speaks plain HTTP, as container tools assume."""
        host = DEFAULT_HOST if self.registry == DEFAULT_REGISTRY else self.registry
        name = host.rpartition(":")[0] or host
        local = name in ("localhost", "[::1]") or name.startswith("127.")
        return f"{'http' if local else 'https'}://{host}"

    @property
    def names(self) -> frozenset[str]:
        """How a node that holds the image may list it."""
        full = f"{self.registry}/{self.repository}"
        named = {f"{full}:{self.tag}"} if self.tag else set()
        return frozenset(named | ({f"{full}@{self.digest}"} if self.digest else set()))


def image(name: str) -> Image:
    """Fills in what a short name leaves out, as container engines do."""
    rest, _, digest = name.partition("@")
    first, slash, remainder = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, path = first, remainder
    else:
        registry, path = DEFAULT_REGISTRY, rest
    repository, colon, tag = path.rpartition(":")
    if not colon:
        repository, tag = path, "" if digest else "latest"
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"{DEFAULT_FOLDER}/{repository}"
    return Image(registry=registry, repository=repository, tag=tag, digest=digest)
