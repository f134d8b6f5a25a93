"""Stock dice-ml's genetic algorithm and ours on the same forest and queries, in one process.

    python examples/benchmarks/genetic_speed.py --data german --queries 50 --stock-queries 10

See `forest` for what is timed. Prints JSON.
"""

from __future__ import annotations

import forest

from dice_extended_plugin.explainers.genetic import DiceExtendedGenetic

if __name__ == "__main__":
    forest.run("genetic", DiceExtendedGenetic, __doc__.splitlines()[0], "german")
