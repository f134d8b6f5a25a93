"""What the hosts' objects hold once they are made: attributes that no signature shows."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

#: What host.py reads, and of which kind it must be.
PUBLIC_DATA = {
    **{"data_df": pd.DataFrame, "feature_names": list, "continuous_feature_names": list},
    **{"categorical_feature_names": list, "permitted_range": dict, "outcome_name": str},
    **{"continuous_features_precision": (dict, type(None)), "get_valid_mads": None},
}
PRIVATE_DATA = {
    **{"feature_names": list, "continuous_feature_names": list, "permitted_range": dict},
    **{"categorical_feature_names": list, "categorical_levels": dict, "outcome_name": str},
    "type_and_precision": dict,
}
MODEL = {"model": None, "backend": str, "model_type": str, "transformer": None, "load_model": None}
TRANSFORMER = {
    **{"func": (str, type(None)), "transform": None, "feed_data_params": None},
    "initialize_transform_func": None,
}


def lacks(found: object, wanted: dict, distribution: str, where: str) -> list[str]:
    told = []
    head = f"{distribution} {version(distribution)}: {type(found).__name__}"
    for name, kind in wanted.items():
        if not hasattr(found, name):
            told.append(f"{head} has lost {name}, used in {where}")
        elif kind is not None and not isinstance(getattr(found, name), kind):
            told.append(f"{head}.{name} is a {type(getattr(found, name)).__name__}, see {where}")
    return told


@pytest.fixture(scope="module")
def dice():
    return pytest.importorskip("dice_ml")


@pytest.fixture
def public(dice, table):
    return dice.Data(
        dataframe=table, continuous_features=["age", "bmi", "bp", "s5"], outcome_name="progression"
    )


def test_public_data(public):
    assert not lacks(public, PUBLIC_DATA, "dice-ml", "dice_extended_plugin/host.py")
    assert public.data_df["sex"].dtype == "category", "levels are read from .cat.categories"
    assert public.get_valid_mads(normalized=True).keys() == set(public.continuous_feature_names)
    assert sorted(public.permitted_range["sex"]) == ["female", "male"]
    assert [float(end) for end in public.permitted_range["age"]] == [
        *(float(public.data_df["age"].min()), float(public.data_df["age"].max()))
    ]


def test_private_data(dice):
    data = dice.Data(features={"age": [17, 90], "sex": ["a", "b"]}, outcome_name="y")
    assert not lacks(data, PRIVATE_DATA, "dice-ml", "dice_extended_plugin/host.py")
    assert getattr(data, "data_df", None) is None, "host.has_table tells the two apart by this"
    assert data.type_and_precision == {"age": "int"}


def test_model_and_transformer(dice, public, torch):
    network = torch.nn.Sequential(torch.nn.Linear(12, 1), torch.nn.Sigmoid())
    model = dice.Model(model=network, backend="PYT", func="ohe-min-max")
    assert not lacks(model, MODEL, "dice-ml", "dice_extended_plugin/native_scores.py")
    assert model.model is network and model.backend == "PYT"
    where = "dice_extended_plugin/host.py"
    assert not lacks(model.transformer, TRANSFORMER, "dice-ml", where)
    model.transformer.feed_data_params(public)
    model.transformer.initialize_transform_func()
    rows = model.transformer.transform(public.data_df[public.feature_names].iloc[:3])
    assert rows.to_numpy(dtype=float).min() >= 0 and rows.shape[0] == 3
    assert dice.Model(model=network, backend="PYT", model_type="regressor").model_type == (
        "regressor"
    )


def test_the_factory_becomes_another_class(dice, public):
    """Ours relies on it: a Dice assigns its own __class__, and asks dice_ml.dice.decide which."""
    from sklearn.dummy import DummyClassifier

    asked = []
    real = dice.dice.decide

    def decide(model_interface, method):
        asked.append(method)
        return real(model_interface, method)

    rows = public.data_df[public.feature_names]
    model = DummyClassifier().fit(rows, public.data_df["progression"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dice.dice, "decide", decide)
        made = dice.Dice(public, dice.Model(model=model, backend="sklearn"), method="random")
    assert asked == ["random"]
    assert type(made).__name__ == "DiceRandom"
    assert made.data_interface is public and made.model.model is model


def test_results_of_dice_ml(dice, public):
    from dice_ml.counterfactual_explanations import CounterfactualExplanations
    from dice_ml.diverse_counterfactuals import CounterfactualExamples

    rows = public.data_df.iloc[:2].reset_index(drop=True)
    one = CounterfactualExamples(data_interface=public, final_cfs_df=rows, test_instance_df=rows)
    known = {"final_cfs_df": None, "final_cfs_df_sparse": None, "test_instance_df": None}
    assert not lacks(one, known, "dice-ml", "dice_extended_plugin/results.py")
    whole = CounterfactualExplanations([one])
    assert isinstance(whole._metadata, dict), "our part of the JSON form travels in it"
    assert "version" in whole.metadata and whole.cf_examples_list == [one]


def test_art_classifiers(torch):
    art = pytest.importorskip("art.estimators.classification")
    from sklearn.linear_model import LogisticRegression

    x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    sklearn = art.SklearnClassifier(LogisticRegression().fit(x, y), clip_values=(0, 1))
    network = torch.nn.Linear(4, 2)
    torch_one = art.PyTorchClassifier(
        network, torch.nn.CrossEntropyLoss(), (4,), 2, clip_values=(0, 1), device_type="cpu"
    )
    for classifier in (sklearn, torch_one):
        where = "art_bridge/border.py"
        wanted = {"nb_classes": int, "clip_values": None, "input_shape": tuple}
        name = "adversarial-robustness-toolbox"
        assert not lacks(classifier, wanted, name, where)
        assert classifier.predict(x, batch_size=4).shape == (4, 2)
    assert torch_one.loss_gradient(x, np.eye(2)[y]).shape == x.shape
    assert torch_one.class_gradient(x[:1], label=0).shape == (1, 1, 4)


def test_art_asks_its_registry_by_name():
    """register_with_art puts classes there; get_crafter must make them from it."""
    pytest.importorskip("art")
    from art.metrics import metrics

    class Crafter:
        def __init__(self, classifier):
            self.classifier, self.params = classifier, {}

        def set_params(self, **params):
            self.params |= params

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            metrics.SUPPORTED_METHODS, "ours", {"class": Crafter, "params": {"p": 0.5, "q": 1}}
        )
        made = metrics.get_crafter("a classifier", "ours", {"q": 2})
    assert type(made) is Crafter and made.params == {"p": 0.5, "q": 2}


def test_pymoo_algorithms():
    """What our engines read of the algorithm that they are, and set on it."""
    pymoo = pytest.importorskip("pymoo.core.problem")
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.termination import NoTermination

    class Plane(pymoo.Problem):
        def __init__(self):
            super().__init__(n_var=2, n_obj=2, xl=np.zeros(2), xu=np.ones(2))

        def _evaluate(self, x, out, *args, **kwargs):
            out["F"] = x

    starts = np.random.default_rng(0).random((8, 2))
    algorithm = NSGA2(pop_size=8, sampling=starts)
    algorithm.setup(Plane(), seed=2**61, termination=NoTermination())
    asked = algorithm.ask()
    assert np.array_equal(asked.get("X").astype(float), starts)
    algorithm.evaluator.eval(algorithm.problem, asked)
    algorithm.tell(infills=asked)
    wanted = {"pop": None, "opt": None, "problem": None}
    assert not lacks(
        algorithm, {**wanted, "random_state": np.random.Generator}, "pymoo", "smpso.py"
    )
    assert [end.tolist() for end in algorithm.problem.bounds()] == [[0, 0], [1, 1]]


def test_swin_gives_a_map_per_stage(torch):
    transformers = pytest.importorskip("transformers")
    shape = {"image_size": [32, 32], "patch_size": 2, "num_channels": 3, "embed_dim": 8}
    layers = {"depths": [1, 1], "num_heads": [1, 2], "window_size": 4, "drop_path_rate": 0.0}
    config = transformers.SwinConfig(**shape, **layers, out_features=["stage1", "stage2"])
    maps = transformers.SwinBackbone(config)(torch.zeros(1, 3, 32, 32)).feature_maps
    assert [tuple(one.shape) for one in maps] == [(1, 8, 16, 16), (1, 16, 8, 8)]
