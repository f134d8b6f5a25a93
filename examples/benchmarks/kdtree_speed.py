"""Stock dice-ml's kd-tree method and ours on the same forest and queries, in one process.

    python examples/benchmarks/kdtree_speed.py --data german --queries 50 --stock-queries 10

See `forest` for what is timed. Prints JSON.
"""

from __future__ import annotations

import forest

from dice_extended_plugin.explainers.kdtree import DiceExtendedKD

if __name__ == "__main__":
    forest.run("kdtree", DiceExtendedKD, __doc__.splitlines()[0], "german")
