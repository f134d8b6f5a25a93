"""Stock dice-ml's random sampling and ours on the same forest and queries, in one process.

    python examples/benchmarks/random_speed.py --data adult --queries 50 --stock-queries 10

See `forest` for what is timed. Prints JSON.
"""

from __future__ import annotations

import forest

from dice_extended_plugin.explainers.random import DiceExtendedRandom

if __name__ == "__main__":
    forest.run("random", DiceExtendedRandom, __doc__.splitlines()[0], "adult")
