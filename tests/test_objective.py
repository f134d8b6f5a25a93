"""The torch terms: equal to dice-ml's, differentiable, and R means what it says."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dice_extended_plugin import host  # noqa: E402
from dice_extended_plugin.dice_sorensen import codes, coefficient  # noqa: E402
from dice_extended_plugin.goals import ClassGoal  # noqa: E402
from dice_extended_plugin.noise import NoiseModel  # noqa: E402
from dice_extended_plugin.objective import Objective, Queries, Weights  # noqa: E402
from dice_extended_plugin.soft_robustness import Robustness  # noqa: E402
from dice_extended_plugin.space import FeatureSpace  # noqa: E402
from dice_extended_plugin.terms import (  # noqa: E402
    category_penalty,
    diversity,
    margin_logit,
    proximity,
    y_loss,
)

LIKE = torch.zeros((), dtype=torch.float64)


def draw(space, q=3, k=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(q, k, space.n_columns, generator=generator, dtype=torch.float64)
    x = torch.rand(q, space.n_columns, generator=generator, dtype=torch.float64)
    x = torch.as_tensor(space.project(x.numpy(), x.numpy(), np.zeros_like(x), np.ones_like(x)))
    target = torch.randint(0, 2, (q,), generator=generator)
    return u, Queries(x, torch.zeros_like(x), torch.ones_like(x), ClassGoal(target, torch.ones(q)))


@pytest.fixture
def host_terms(stock, data, space):
    """Set dice-ml's explainer to one query's tensors; it computes its own terms from them."""

    def prepare(u, x, target, yloss, diversity_type, n_outputs=1):
        explainer = stock(n_outputs)
        explainer.do_cf_initializations(len(u), "DiverseCF", "all")
        explainer.do_loss_initializations(yloss, diversity_type, "inverse_mad")
        explainer.update_hyperparameters(0.5, 1.0, 0.1)
        explainer.cfs = [row.float().requires_grad_(True) for row in u]
        explainer.x1 = x
        explainer.target_cf_class = torch.tensor(target).float()
        return explainer

    return prepare


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("yloss", ["hinge_loss", "l2_loss", "log_loss"])
@pytest.mark.parametrize(
    "kind", ["dpp_style:inverse_dist", "dpp_style:exponential_dist", "avg_dist"]
)
def test_every_term_is_dice_mls(host_terms, space, data, fit, n_outputs, yloss, kind):
    u, queries = draw(space)
    weights = torch.as_tensor(host.column_weights(data, space, "inverse_mad"))
    module = fit(n_outputs)
    with torch.no_grad():
        out = module(u.float()).double()
    scores = torch.cat([1 - out, out], -1) if n_outputs == 1 else out
    owner = space.column_feature - space.n_continuous
    membership = torch.as_tensor(owner[:, None] == np.arange(3)).double()
    ours = {
        "yloss": y_loss(scores, queries.goal.index, yloss),
        "proximity": proximity(u, queries.x, weights),
        "diversity": diversity(u, weights, kind),
        "regularization": category_penalty(u, membership),
    }
    for i in range(len(u)):
        stock = host_terms(u[i], queries.x[i], int(queries.goal.index[i]), yloss, kind, n_outputs)
        for name, value in ours.items():
            theirs = getattr(stock, f"compute_{name}" + ("" if name == "yloss" else "_loss"))()
            assert float(value[i]) == pytest.approx(theirs.item(), abs=1e-4), name


def test_the_weighted_sum_is_dice_mls(host_terms, space, data, fit):
    u, queries = draw(space, seed=5)
    weights = host.column_weights(data, space, "inverse_mad")
    module = fit(1).double()
    try:

        def scores(rows):
            return torch.cat([1 - module(rows), module(rows)], 1)

        objective = Objective(
            scores,
            space,
            weights,
            Weights(robustness=0.0),
            "hinge_loss",
            "dpp_style:inverse_dist",
            None,
            LIKE,
        )
        loss = objective.loss(objective.terms(u, queries)[0])
    finally:
        module.float()
    for i in range(len(u)):
        stock = host_terms(
            u[i], queries.x[i], int(queries.goal.index[i]), "hinge_loss", "dpp_style:inverse_dist"
        )
        assert float(loss[i]) == pytest.approx(stock.compute_loss().item(), abs=1e-4)


def test_a_saturated_model_is_pushed_the_right_way():
    logit = torch.tensor([[-20.0], [-14.5], [-5.0]], dtype=torch.float64, requires_grad=True)
    p = torch.sigmoid(logit)
    margin = margin_logit(torch.stack([1 - p, p], -1), torch.ones(3, dtype=torch.long))
    margin.sum().backward()
    assert (logit.grad > 0).all()  # dice-ml's is negative below its shift of 1e-6
    assert torch.isfinite(margin).all()


def test_the_multi_class_margin_is_two_class_logit_for_two_classes():
    p = torch.rand(5, 4, dtype=torch.float64) * 0.9 + 0.05
    two = torch.stack([1 - p, p], -1)
    three = torch.cat([two * (1 - 1e-9), torch.full_like(p, 1e-9)[..., None]], -1)
    for target in (0, 1):
        wanted = torch.full((5,), target)
        torch.testing.assert_close(
            margin_logit(two, wanted), margin_logit(three, wanted), atol=1e-4, rtol=1e-4
        )


def robustness(space, mode="dice", noise=None, seed=0):
    noise = noise or NoiseModel()
    return Robustness(space, noise, noise.bank(space, seed), mode, LIKE)


def linear_scores(space, seed=0, scale=4.0):
    w = torch.randn(
        space.n_columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )

    def scores(rows):
        p = torch.sigmoid(scale * (rows @ w - 0.3 * w.sum()))
        return torch.stack([1 - p, p], 1)

    return scores


def evaluate(term, scores, u, queries):
    disturbed, flipped = term.disturb(u, queries.x)
    gate = scores(disturbed.reshape(-1, u.shape[-1]))[:, 1].view(disturbed.shape[:3])
    return term.value(u, disturbed, flipped, gate)


@pytest.mark.parametrize("scope", ["changed", "kept", "all"])
def test_the_models_only_see_legal_rows(space, scope):
    u, queries = draw(space)
    term = robustness(space, noise=NoiseModel(scale=0.3, flip=0.4, scope=scope))
    disturbed, _ = term.disturb(u, queries.x)
    numbers = disturbed[..., : space.n_continuous]
    assert numbers.min() >= 0
    assert numbers.max() <= 1
    for block in space.blocks:
        part = disturbed[..., block[block >= 0]]
        torch.testing.assert_close(part.sum(-1), torch.ones_like(part[..., 0]))
        assert ((part - part.round()).abs() < 1e-9).all()


def test_hard_rows_are_disturbed_as_the_report_disturbs_them(space):
    """The search's tensors and the report's arrays are the same noise on rows to be written."""
    noise = NoiseModel(scope="all", scale=0.1, flip=0.3)
    u, queries = draw(space, q=4, k=3)
    hard = torch.as_tensor(
        space.project(u.numpy(), queries.x.numpy()[:, None], np.zeros(u.shape), np.ones(u.shape))
    )
    bank = noise.bank(space, 7)
    term = Robustness(space, noise, bank, "dice", LIKE)
    ours, flipped = term.disturb(hard, queries.x)
    flat = hard.reshape(-1, space.n_columns).numpy()
    own = np.repeat(queries.x.numpy(), 3, axis=0)
    theirs = noise.perturb(flat, own, space, bank).transpose(1, 0, 2)
    np.testing.assert_allclose(ours.reshape(theirs.shape).numpy(), theirs, atol=1e-12)
    n = space.n_continuous
    literal = coefficient(codes(theirs, space), codes(flat, space)[:, None])
    soft = term.coefficient(hard[..., :n], ours[..., :n], flipped).reshape(literal.shape)
    np.testing.assert_allclose(soft.numpy(), literal, atol=1e-12)


def test_no_noise_gives_one_times_the_gate(space):
    u, queries = draw(space)
    term = robustness(space, noise=NoiseModel(scale=0.0, flip=0.0, scope="all"))
    disturbed, flipped = term.disturb(u, queries.x)
    value = term.value(u, disturbed, flipped, torch.ones(disturbed.shape[:3]).double())
    torch.testing.assert_close(value, torch.ones_like(value))


@pytest.mark.parametrize("mode", ["dice", "validity"])
@pytest.mark.parametrize("scope", ["changed", "all"])
def test_gradient_agrees_with_central_differences(space, mode, scope):
    """On the smooth part: hard levels and bin counts are steps, whose gradient is a surrogate."""
    term = robustness(space, mode, NoiseModel(scope=scope, flip=0.0, scale=0.03))
    term.coefficient = smooth_coefficient(term)
    scores = linear_scores(space)
    u, queries = draw(space, seed=3)
    n = space.n_continuous
    u[..., :n] = 0.25 + 0.5 * u[..., :n]  # away from where clipping bends
    u.requires_grad_(True)
    value = evaluate(term, scores, u, queries).sum()
    (gradient,) = torch.autograd.grad(value, u)
    step = 1e-6
    with torch.no_grad():
        for index in [(0, 0, 0), (1, 2, 1), (2, 3, 3), (0, 1, 2)]:
            ahead, behind = u.clone(), u.clone()
            ahead[index] += step
            behind[index] -= step
            slope = (
                evaluate(term, scores, ahead, queries).sum()
                - evaluate(term, scores, behind, queries).sum()
            ) / (2 * step)
            assert float(gradient[index]) == pytest.approx(float(slope), rel=1e-4, abs=1e-7)


def smooth_coefficient(term):
    """The soft coefficient alone, whose gradient the straight-through one passes on."""

    def coefficient_(value, moved, flipped):
        apart = recorded_distance(value, moved, term.centres)
        return 1.0 - (apart + flipped) / term.n_features

    return coefficient_


def recorded_distance(value, moved, centres):
    """Half the L1 distance of the soft codes, left to autograd."""
    tau = 0.5 / len(centres)

    def code(u):
        return torch.softmax(-((u.unsqueeze(-1) - centres) ** 2) / (2 * tau**2), -1)

    return 0.5 * (code(value).unsqueeze(-3) - code(moved)).abs().sum((-1, -2))


@pytest.mark.parametrize("shape", [(5, 2, 3), (40, 16, 9)])
def test_soft_code_distance_and_gradient_are_autograds(shape, monkeypatch):
    from dice_extended_plugin import soft_codes

    monkeypatch.setattr(soft_codes, "_BLOCK", 700)  # several blocks, the last one short
    generator = torch.Generator().manual_seed(0)
    rows, draws, n = shape
    value = torch.rand(rows, n, generator=generator, dtype=torch.float64).requires_grad_(True)
    moved = torch.rand(rows, draws, n, generator=generator, dtype=torch.float64)
    moved.requires_grad_(True)
    weight = torch.rand(rows, draws, generator=generator, dtype=torch.float64)
    centres = (torch.arange(10, dtype=torch.float64) + 0.5) / 10
    ours = soft_codes.soft_code_distance(value, moved, centres)
    theirs = recorded_distance(value, moved, centres)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), (value, moved)),
        torch.autograd.grad((theirs * weight).sum(), (value, moved)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_straight_through_has_the_literal_value_and_the_soft_gradient(space):
    term = robustness(space, noise=NoiseModel(scope="all"))
    u, queries = draw(space)
    n = space.n_continuous
    u.requires_grad_(True)
    disturbed, flipped = term.disturb(u, queries.x)
    hard = term.coefficient(u[..., :n], disturbed[..., :n], flipped)
    soft = smooth_coefficient(term)(u[..., :n], disturbed[..., :n], flipped)
    literal = (
        torch.floor(u[..., :n].unsqueeze(2) * 10).clamp(0, 9)
        == torch.floor(disturbed[..., :n] * 10).clamp(0, 9)
    ).sum(-1)
    expected = (literal + 3 - flipped) / space.n_features
    torch.testing.assert_close(hard, expected.double())
    for a, b in zip(
        torch.autograd.grad(hard.sum(), u, retain_graph=True),
        torch.autograd.grad(soft.sum(), u),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_a_feature_left_alone_is_not_disturbed_in_scope_changed(space):
    term = robustness(space, noise=NoiseModel(scope="changed", flip=0.9))
    _, queries = draw(space)
    same = queries.x.unsqueeze(1).clone()
    disturbed, flipped = term.disturb(same, queries.x)
    assert (disturbed - same.unsqueeze(2)).abs().max() < 0.01  # sigmoid(-3) of the noise
    assert flipped.abs().max() == 0


def test_noise_validity_of_a_linear_model_has_its_closed_form():
    """With the gate of a steep linear model R is Phi(margin / (sigma |w|))."""
    from scipy.stats import norm

    space = FeatureSpace.build(["a", "b"], {"a": (0, 1), "b": (0, 1)}, {}, {"a": 4, "b": 4})
    weight = torch.tensor([1.0, -2.0], dtype=torch.float64)
    noise = NoiseModel(scale=0.02, scope="all", n_draws=4096)
    term = robustness(space, "validity", noise)

    def scores(rows):
        p = torch.sigmoid(1e6 * (rows @ weight))
        return torch.stack([1 - p, p], 1)

    u = torch.tensor([[[0.5, 0.24], [0.6, 0.28], [0.45, 0.22]]], dtype=torch.float64)
    goal = ClassGoal(torch.ones(1, dtype=torch.long), torch.ones(1))
    queries = Queries(u[:, 0], u[:, 0], u[:, 0], goal)
    value = evaluate(term, scores, u, queries)[0].numpy()
    margin = (u[0] @ weight).numpy()
    expected = norm.cdf(margin / (0.02 * np.linalg.norm(weight)))
    np.testing.assert_allclose(value, expected, atol=0.01)
