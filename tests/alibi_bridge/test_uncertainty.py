"""p_fake as doubt: closed forms, and what the printed formula hides."""

from __future__ import annotations

import numpy as np
import pytest

from alibi_bridge.uncertainty import (
    auroc,
    fakeness_report,
    negative_log_likelihood,
    pearson_nll,
)
from dice_extended_plugin.errors import InvalidInputError


def shares(n=400, seed=0):
    found = np.random.default_rng(seed).dirichlet([2, 2, 1], size=n)
    return found, np.random.default_rng(seed + 1).integers(0, 2, n)


def test_the_loss_by_hand():
    given = np.array([[0.2, 0.6, 0.2], [0.2, 0.6, 0.2]])
    found = negative_log_likelihood(given, [1, 0])
    np.testing.assert_allclose(found, -np.log([0.75, 0.25]))
    printed = negative_log_likelihood(given, [1, 0], "printed")
    np.testing.assert_allclose(printed, -np.log([0.6, 0.4]))
    certain = negative_log_likelihood(np.array([[1.0, 0], [0, 1]]), [1, 0])
    assert np.isfinite(certain).all() and (certain > 16).all()
    np.testing.assert_allclose(negative_log_likelihood([[0, 0, 1.0]], [1]), np.log(2))


def test_pearson_by_hand():
    given, y = shares()
    loss = negative_log_likelihood(given, y)
    expected = np.cov(loss, given[:, 2])[0, 1] / (loss.std(ddof=1) * given[:, 2].std(ddof=1))
    assert pearson_nll(given, y) == pytest.approx(expected)
    assert pearson_nll(given[:, :2], y, p_fake=loss * 0.1) == pytest.approx(1)
    assert np.isnan(pearson_nll(given[:, :2], y, p_fake=np.ones(len(y))))


def test_p_fake_without_any_skill():
    # The class shares say nothing of p_fake: the conditional form finds nothing, the printed form
    # for cracks finds what is in its definition.
    stream = np.random.default_rng(0)
    fake, one = stream.uniform(0, 0.9, 20_000), stream.uniform(0.1, 0.9, 20_000)
    given = np.stack([(1 - fake) * (1 - one), (1 - fake) * one, fake], axis=1)
    y = np.ones(len(fake), int)
    assert pearson_nll(given, y) == pytest.approx(0, abs=0.03)
    assert pearson_nll(given, y, form="printed") > 0.4


def test_auroc():
    assert auroc([0, 1], [2, 3]) == 1 and auroc([2, 3], [0, 1]) == 0
    assert auroc([1, 1], [1, 1, 1]) == 0.5
    stream = np.random.default_rng(0)
    low, high = stream.normal(0, 1, 60).round(1), stream.normal(0.5, 1, 70).round(1)
    pairs = (high[:, None] > low).mean() + (high[:, None] == low).mean() / 2
    assert auroc(low, high) == pytest.approx(pairs)
    assert np.isnan(auroc([], [1.0]))


def test_the_report():
    given, y = shares()
    noisy = np.clip(given[:, 2] + 0.3, 0, 1)
    found = fakeness_report(given, y, {"noise 0.2": noisy, "same": given[:, 2]})
    assert found["AUROC same"] == 0.5 and found["AUROC noise 0.2"] > 0.8
    wrong = given[:, :2].argmax(1) != y
    assert found["AUROC misread"] == auroc(given[~wrong, 2], given[wrong, 2])
    assert found["mean p_fake noise 0.2"] == pytest.approx(noisy.mean())
    assert found["Pearson(NLL, p_fake)"] == pearson_nll(given, y)


def test_bad_input():
    given, y = shares(5)
    for bad, labels, text in (
        (given * 5, y, r"\[0, 1\]"),
        (given[:, :1], y, r"\(n, 2\)"),
        (given * np.nan, y, r"\[0, 1\]"),
        (given, y[:2], "label per image"),
        (given, y + 1, "0 and 1"),
    ):
        with pytest.raises(InvalidInputError, match=text):
            negative_log_likelihood(bad, labels)
    with pytest.raises(InvalidInputError, match="form"):
        negative_log_likelihood(given, y, "other")
    with pytest.raises(InvalidInputError, match="third column"):
        pearson_nll(given[:, :2], y)
    with pytest.raises(InvalidInputError, match="p_fake"):
        pearson_nll(given, y, p_fake=[0.5])
    with pytest.raises(InvalidInputError, match="NaN"):
        auroc([np.nan], [1.0])
