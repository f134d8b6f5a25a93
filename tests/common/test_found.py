"""Plain tests of what the suite and the properties found."""

from __future__ import annotations

import numpy as np
import pytest

from dice_extended_plugin.checks.tables import table
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.metric_table import METRICS


def test_a_misspelt_keyword_is_refused_before_the_network_is_asked():
    pytest.importorskip("torch")
    from dice_extended_plugin import DiceExtendedPyTorch

    given = table("PYT")
    made = DiceExtendedPyTorch(given.data, given.model)
    before = given.watch.calls
    with pytest.raises(InvalidInputError, match="did you mean 'proximity_weight'"):
        made.generate_counterfactuals(given.queries, 2, proximity_wait=1.0)
    assert given.watch.calls == before


@pytest.mark.parametrize("options", [{"pop_size": 0}, {"pop_size": 2.5}, {"archive_size": 0}])
def test_the_random_engine_refuses_sizes_that_are_none(options):
    from alibi_bridge.engines import RandomSearch

    with pytest.raises(InvalidInputError, match=next(iter(options))):
        RandomSearch(**options)


@pytest.mark.parametrize("thing", [None, "sets", np.zeros((2, 2)), {}])
def test_a_metric_refuses_what_it_cannot_measure(thing):
    with pytest.raises(InvalidInputError, match="measures CounterfactualSets, not a"):
        METRICS["validity"](thing)


def test_every_metric_says_where_it_is_defined():
    assert [name for name, one in METRICS.items() if not one.reference] == []
