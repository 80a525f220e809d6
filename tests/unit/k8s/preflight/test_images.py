"""Names of images, taken apart."""

import pytest

from k8s.preflight.images import image

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("name", "registry", "repository", "reference"),
    [
        ("redis", "docker.io", "library/redis", "latest"),
        ("redis:7.4", "docker.io", "library/redis", "7.4"),
        ("tierflow/gateway:0.1.0", "docker.io", "tierflow/gateway", "0.1.0"),
        ("example.org/a/b/c:1", "example.org", "a/b/c", "1"),
        ("example.org:5000/c:1", "example.org:5000", "c", "1"),
        ("localhost/c", "localhost", "c", "latest"),
        (f"example.org/c@{DIGEST}", "example.org", "c", DIGEST),
        (f"example.org/c:1@{DIGEST}", "example.org", "c", DIGEST),
    ],
)
def test_what_a_short_name_leaves_out_is_filled_in(
    name: str, registry: str, repository: str, reference: str
) -> None:
    found = image(name)
    assert (found.registry, found.repository, found.reference) == (registry, repository, reference)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("127.0.0.1:5000/c", "http"),
        ("localhost:5000/c", "http"),
        ("example.org/c", "https"),
        ("redis", "https"),
    ],
)
def test_only_a_registry_on_this_machine_is_asked_without_tls(name: str, scheme: str) -> None:
    assert image(name).url.startswith(f"{scheme}://")


def test_nodes_list_an_image_by_tag_and_by_digest() -> None:
    assert image(f"redis:7@{DIGEST}").names == {
        "docker.io/library/redis:7",
        f"docker.io/library/redis@{DIGEST}",
    }
