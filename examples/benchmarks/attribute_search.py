"""What a search costs beside the networks and the predictor that it asks.

    python examples/benchmarks/attribute_search.py --size 32 --engines smpso nsga2 gde3 random

CPU seconds of 10,000 evaluations, and of decoding, critic and predictor alone on as many images
in batches of a generation; both in one process, by turns. The networks are hardly trained: their
cost does not depend on their weights. Prints JSON; `share` is the ratio, 1.5 at most.
"""

from __future__ import annotations

import os
import statistics
import time
import warnings
from itertools import pairwise

os.environ.setdefault("OMP_NUM_THREADS", "1")

import common
import numpy as np
import torch

from alibi_bridge.attgan import AttGAN
from alibi_bridge.predictors import as_predictor
from alibi_bridge.search import search

POPULATION = 100
NAMES = [f"attribute_{number}" for number in range(8)]


def networks_and_images(size: int, width: int) -> tuple[AttGAN, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (40, size, size, 3)).astype(np.float32)
    A = rng.integers(0, 2, (40, len(NAMES)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of course they are dead
        return AttGAN.small(NAMES, size, width=width).fit(X, A, steps=1), X, A


class Target(torch.nn.Sequential):
    """Five convolutions as in the paper, two outputs."""

    def __init__(self, width: int) -> None:
        sizes = [3, *(min(width * 2**k, 8 * width) for k in range(5))]
        layers: list[torch.nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [
                torch.nn.Conv2d(before, after, 3, 2, 1),
                torch.nn.BatchNorm2d(after),
                torch.nn.LeakyReLU(0.1),
            ]
        super().__init__(*layers, torch.nn.Flatten(), torch.nn.LazyLinear(2))


def alone(networks: AttGAN, predictor: object, x: np.ndarray, n: int) -> float:
    """CPU seconds of the three networks on n images."""
    judge = as_predictor(predictor, networks.format, "logits")
    rng = np.random.default_rng(1)
    z = networks.encode(networks.format.to_tensor(x))
    start = time.process_time()
    for first in range(0, n, POPULATION):
        k = min(POPULATION, n - first)
        codes = tuple(part.expand(k, *part.shape[1:]) for part in z)
        edited = networks.decode(codes, torch.from_numpy(rng.uniform(0, 1, (k, len(NAMES)))))
        networks.critic(edited)
        judge(networks.format.to_array(edited))
    return time.process_time() - start


def searched(
    networks: AttGAN, predictor: object, x: np.ndarray, a: np.ndarray, **keywords
) -> tuple:
    start = time.process_time()
    found = search(
        x,
        predictor,
        networks,
        attributes=a,
        outputs="logits",
        pop_size=POPULATION,
        allow_dead=True,
        skip_misread_reconstructions=False,
        keep="none",
        **keywords,
    )
    return time.process_time() - start, found.calls


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32, choices=(32, 64, 128))
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["smpso", "nsga2", "gde3", "random"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks, X, A = networks_and_images(options.size, options.width)
    predictor = Target(options.width).eval()
    predictor(torch.zeros(1, 3, options.size, options.size))
    alone(networks, predictor, X[:1], 500)  # warm up
    rows: dict[str, list[tuple[float, float, int]]] = {name: [] for name in options.engines}
    for turn in range(options.rounds):
        for name in options.engines:
            seconds, calls = searched(
                networks,
                predictor,
                X[:1],
                A[:1],
                engine=name,
                budget=options.budget,
                random_state=turn,
            )
            rows[name].append((seconds, alone(networks, predictor, X[:1], calls), calls))
    result = {
        name: {
            "evaluations": found[0][2],
            "search_seconds": round(statistics.median(one for one, _, _ in found), 3),
            "alone_seconds": round(statistics.median(two for _, two, _ in found), 3),
            "share": round(statistics.median(one / two for one, two, _ in found), 3),
        }
        for name, found in rows.items()
    }
    common.emit({"size": options.size, "width": options.width, "engines": result}, options.out)


if __name__ == "__main__":
    main()
