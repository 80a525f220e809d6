"""An engine is told to use all of its GPUs, whichever way they are given."""

from typing import Any

import pytest

from tests.charts.helm import render
from tests.charts.pods import pods

pytestmark = pytest.mark.helm
PARALLEL = {"--tensor-parallel-size": 1, "--pipeline-parallel-size": 1, "--data-parallel-size": 1}
SEVERAL = {"multiNode": {"enabled": True}, "drafts": {"enabled": False}}


def sizes(arguments: list[str]) -> dict[str, int]:
    following = dict(zip(arguments, arguments[1:], strict=False))
    return {name: int(following.get(name, size)) for name, size in PARALLEL.items()}


@pytest.mark.parametrize(
    ("values", "tensor", "pipeline"),
    [
        ({"gpu": {"count": 1}}, 1, 1),
        ({"gpu": {"count": 4}}, 4, 1),
        (
            {"gpu": {"count": 4}, "engine": {"pipelineParallelSize": 2, "tensorParallelSize": 2}},
            2,
            2,
        ),
        (SEVERAL | {"gpu": {"count": 1}}, 1, 2),
        (SEVERAL | {"gpu": {"count": 8}}, 8, 2),
        (
            SEVERAL
            | {
                "gpu": {"count": 2},
                "engine": {"tensorParallelSize": 4, "pipelineParallelSize": 1},
            },
            4,
            1,
        ),
    ],
)
def test_tensor_and_pipeline_parts_take_up_every_gpu_of_the_engine(
    values: dict[str, Any], tensor: int, pipeline: int
) -> None:
    found = render({"pools": {"edge": values, "cloud": None}})
    engines = [pod for pod in pods(found) if pod.component == "engine"]
    gpus = 0
    for pod in engines:
        (container,) = pod.spec["containers"]
        given = sizes(container["args"])
        assert given["--tensor-parallel-size"] == tensor
        assert given["--pipeline-parallel-size"] == pipeline
        gpus += int(container["resources"]["limits"]["nvidia.com/gpu"])
    nodes = len(engines)
    assert (tensor * pipeline, tensor * pipeline % nodes) == (gpus, 0)


def test_replicas_inside_an_engine_may_share_its_gpus() -> None:
    engine = {"tensorParallelSize": 2, "args": ["--data-parallel-size", 2]}
    found = render({"pools": {"edge": {"gpu": {"count": 4}, "engine": engine}, "cloud": None}})
    (pod,) = [pod for pod in pods(found) if pod.component == "engine"]
    assert sizes(pod.spec["containers"][0]["args"]) == {
        "--tensor-parallel-size": 2,
        "--pipeline-parallel-size": 1,
        "--data-parallel-size": 2,
    }
