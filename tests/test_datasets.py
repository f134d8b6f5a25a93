import logging

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

from dice_extended_plugin import datasets
from dice_extended_plugin.datasets import DATASETS, FOLDER_VARIABLE, data_folder, load_dataset

BUNDLED = ("diabetes", "breast_cancer", "wine")
PAPERS = tuple(name for name in DATASETS if name not in BUNDLED)

needs_folder = pytest.mark.skipif(
    data_folder() is None, reason=f"no data folder: set {FOLDER_VARIABLE}"
)

ADULT = pd.DataFrame(
    {
        "age": [39, 50, 28, 44],
        "workclass": ["State-gov", "?", "Private", "Self-emp-inc"],
        "fnlwgt": [77516, 83311, 338409, 1],
        "education": ["Bachelors", "HS-grad", "11th", "Assoc-voc"],
        "education_num": [13, 9, 7, 11],
        "marital_status": ["Never-married", "Married-AF-spouse", "Widowed", "Divorced"],
        "occupation": ["Adm-clerical", "Armed-Forces", "Prof-specialty", "Sales"],
        "relationship": ["Not-in-family", "Husband", "Wife", "Unmarried"],
        "race": ["White", "Black", "Other", "White"],
        "sex": ["Male", "Male", "Female", "Female"],
        "capital_gain": [2174, 0, 0, 0],
        "capital_loss": [0, 0, 0, 0],
        "hours_per_week": [40, 13, 40, 50],
        "native_country": ["United-States", "United-States", "Cuba", "?"],
        "income": [0, 1, 0, 1],
    }
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "tabular").mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path / "tabular"


@pytest.fixture
def no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nowhere"))


@pytest.fixture
def openml(monkeypatch):
    """Stand in for the network: {OpenML id: frame or exception}."""
    answers = {}

    def fetch_openml(*, data_id, as_frame):
        assert as_frame
        if isinstance(answers[data_id], Exception):
            raise answers[data_id]
        return sklearn.utils.Bunch(frame=answers[data_id])

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
    return answers


def one_hot_width(dataset):
    return len(dataset.continuous) + sum(dataset.frame[c].nunique() for c in dataset.categorical)


def check(dataset):
    """What every data set keeps."""
    frame = dataset.frame
    assert frame.columns[-1] == dataset.outcome
    assert [*dataset.features, dataset.outcome] == list(frame.columns)
    assert set(dataset.continuous) | set(dataset.categorical) == set(dataset.features)
    assert not set(dataset.continuous) & set(dataset.categorical)
    assert not frame.isna().any(axis=None)
    assert list(frame.index) == list(range(len(frame)))
    for column in dataset.continuous:
        assert frame[column].dtype in (np.int64, np.float64)
    for column in dataset.categorical:
        assert frame[column].dtype == object
        assert all(isinstance(level, str) for level in frame[column].unique())
        assert frame[column].nunique() > 1
    assert frame[dataset.outcome].dtype == np.int64
    labels = sorted(frame[dataset.outcome].unique())
    assert labels == list(range(len(labels)))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled(name, no_folder):
    dataset = load_dataset(name)
    check(dataset)
    assert (dataset.name, dataset.source) == (name, "bundled")


def test_the_default_is_diabetes():
    dataset = load_dataset()
    assert dataset.name == "diabetes"
    assert dataset.outcome == "progression"
    assert dataset.categorical == ["sex"]
    assert set(dataset.frame["sex"]) == {"sex_1", "sex_2"}
    assert dataset.frame["progression"].value_counts().to_dict() == {0: 221, 1: 221}
    assert dataset.frame["age"].dtype == np.int64
    assert dataset.frame["bmi"].dtype == np.float64


def test_bundled_values_are_those_of_scikit_learn():
    bundled = sklearn.datasets.load_wine(as_frame=True).frame
    ours = load_dataset("wine").frame
    np.testing.assert_array_equal(ours.to_numpy(dtype=float), bundled.to_numpy(dtype=float))


@needs_folder
@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("features", ["paper", "all"])
def test_folder(name, features):
    dataset = load_dataset(name, "folder", features=features)
    check(dataset)
    assert dataset.source == "folder"


@needs_folder
@pytest.mark.parametrize(
    ("name", "rows", "features", "continuous", "width"),
    [
        ("adult", 32561, 8, 2, 29),
        ("compas", 7214, 5, 2, 12),
        ("german", 1000, 20, 7, 61),
        ("lending_club", 38661, 8, 4, 64),
        ("credit_default", 30000, 23, 20, 29),
    ],
)
def test_the_papers_features(name, rows, features, continuous, width):
    dataset = load_dataset(name)
    assert len(dataset.frame) == rows
    assert len(dataset.features) == features
    assert len(dataset.continuous) == continuous
    assert one_hot_width(dataset) == width


@needs_folder
def test_the_purposes_of_german_are_right():
    # The counts in the original's documentation.
    counts = load_dataset("german").frame["purpose"].value_counts()
    assert counts["radio/television"] == 280
    assert counts["car (new)"] == 234
    assert counts["furniture/equipment"] == 181
    assert counts["education"] == 50
    assert counts["others"] == 12


def test_adult_levels_are_grouped(folder):
    ADULT.to_csv(folder / "adult.csv.gz", index=False)
    frame = load_dataset("adult").frame
    assert list(frame.columns) == [
        "age",
        "workclass",
        "education",
        "marital_status",
        "occupation",
        "race",
        "gender",
        "hours_per_week",
        "income",
    ]
    assert list(frame["workclass"]) == ["Government", "Other/Unknown", "Private", "Self-Employed"]
    assert list(frame["education"]) == ["Bachelors", "HS-grad", "School", "Assoc"]
    assert list(frame["marital_status"]) == ["Single", "Married", "Widowed", "Divorced"]
    assert list(frame["race"]) == ["White", "Other", "Other", "White"]


def test_all_features_keep_their_levels(folder):
    ADULT.to_csv(folder / "adult.csv.gz", index=False)
    dataset = load_dataset("adult", features="all")
    assert len(dataset.features) == 14
    assert list(dataset.frame["workclass"]) == ["State-gov", "Unknown", "Private", "Self-emp-inc"]
    assert list(dataset.frame["native_country"])[-1] == "Unknown"


def test_rows_with_a_missing_value_are_left_out_and_counted(folder, caplog):
    frame = ADULT.assign(age=[39, None, 28, 44], fnlwgt=[None, 1, 1, 1])
    frame.to_csv(folder / "adult.csv.gz", index=False)
    with caplog.at_level(logging.INFO, logger=datasets.__name__):
        dataset = load_dataset("adult")
    assert list(dataset.frame["age"]) == [39, 28, 44]
    assert dataset.frame["age"].dtype == np.int64
    assert "left out 1 of 4 rows" in caplog.text


def adult_as_openml_has_it():
    names = {"sex": "sex", "income": "class"}
    frame = ADULT.rename(columns=lambda c: names.get(c, c.replace("_", "-"))).replace("?", np.nan)
    frame["class"] = frame["class"].map({0: "<=50K", 1: ">50K"})
    text = frame.select_dtypes(exclude="number").columns
    return frame.astype(dict.fromkeys(text, "category"))


def test_openml_adult_equals_the_file(folder, openml):
    ADULT.to_csv(folder / "adult.csv.gz", index=False)
    openml[1590] = adult_as_openml_has_it()
    for features in ("paper", "all"):
        theirs = load_dataset("adult", "openml", features=features)
        assert theirs.source == "openml"
        pd.testing.assert_frame_equal(
            theirs.frame, load_dataset("adult", "folder", features=features).frame
        )


def test_openml_compas(openml):
    frame = pd.DataFrame(
        {
            "sex": ["1", "0", "1"],
            "age": [24.0, 40.0, 61.0],
            "juv_fel_count": [0.0, 1.0, 0.0],
            "priors_count": [3.0, 0.0, 1.0],
            "age_cat_25-45": ["0", "1", "0"],
            "age_cat_Greaterthan45": ["0", "0", "1"],
            "age_cat_Lessthan25": ["1", "0", "0"],
            "race_African-American": ["1", "0", "0"],
            "race_Caucasian": ["0", "1", "1"],
            "c_charge_degree_F": ["1", "0", "1"],
            "c_charge_degree_M": ["0", "1", "0"],
            "twoyearrecid": ["1", "0", "0"],
        }
    )
    nominal = [c for c in frame if frame[c].dtype != float]
    openml[42193] = frame.astype(dict.fromkeys(nominal, "category"))
    dataset = load_dataset("compas", "openml")
    check(dataset)
    assert dataset.features == ["age", "sex", "race", "priors_count", "c_charge_degree"]
    assert list(dataset.frame["sex"]) == ["Male", "Female", "Male"]
    assert list(dataset.frame["race"]) == ["African-American", "Caucasian", "Caucasian"]
    assert list(dataset.frame["c_charge_degree"]) == ["F", "M", "F"]
    assert list(dataset.frame["two_year_recid"]) == [1, 0, 0]
    everything = load_dataset("compas", "openml", features="all")
    assert set(everything.features) == {*dataset.features, "juv_fel_count"}


def test_openml_german(openml):
    numbers = {"duration", "credit_amount", "age", "num_dependents", "residence_since"}
    numbers |= {"installment_commitment", "existing_credits"}
    frame = pd.DataFrame(
        {
            name: [6.0, 48.0] if name in numbers else pd.Categorical(["a", "b"])
            for name in datasets._GERMAN_COLUMNS
        }
    )
    frame["purpose"] = pd.Categorical(["radio/tv", "education"])
    frame["class"] = pd.Categorical(["good", "bad"])
    openml[31] = frame
    dataset = load_dataset("german", "openml")
    check(dataset)
    assert len(dataset.features) == 20
    assert len(dataset.continuous) == 7
    assert list(dataset.frame["purpose"]) == ["radio/tv", "education"]
    assert list(dataset.frame["default"]) == [0, 1]


def test_openml_credit_default(openml):
    frame = pd.DataFrame({f"x{i}": [1.0, 2.0] for i in range(1, 24)})
    # Nominal numbers stay numbers, unless they are codes.
    frame["x6"] = pd.Categorical(["-1", "2"])
    frame["x3"] = pd.Categorical(["2", "5"])
    frame["y"] = pd.Categorical(["0", "1"])
    openml[42477] = frame
    dataset = load_dataset("credit_default", "openml")
    check(dataset)
    assert dataset.categorical == ["sex", "education", "marriage"]
    assert list(dataset.frame["sex"]) == ["male", "female"]
    assert list(dataset.frame["education"]) == ["university", "others"]
    assert list(dataset.frame["pay_0"]) == [-1, 2]
    assert list(dataset.frame.columns[-4:]) == ["pay_amt4", "pay_amt5", "pay_amt6", "default"]


def test_auto_prefers_the_folder_to_openml(folder, openml):
    openml[1590] = AssertionError("OpenML was asked")
    ADULT.to_csv(folder / "adult.csv.gz", index=False)
    assert load_dataset("adult").source == "folder"
    # A folder without the file is a mistake to be told, not a reason to go to the network.
    (folder / "adult.csv.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*adult\.csv\.gz.*source='openml'"):
        load_dataset("adult")


def test_auto_asks_openml_without_a_folder(no_folder, openml):
    openml[1590] = adult_as_openml_has_it()
    assert load_dataset("adult").source == "openml"


def test_no_folder_and_no_network(no_folder, openml):
    openml[1590] = OSError("no route")
    with pytest.raises(FileNotFoundError, match=r"no route.*DICE_EXTENDED_DATA.*diabetes"):
        load_dataset("adult")


def test_no_folder(no_folder):
    assert data_folder() is None
    with pytest.raises(FileNotFoundError, match=r"is no folder.*DICE_EXTENDED_DATA"):
        load_dataset("adult", "folder")
    with pytest.raises(FileNotFoundError, match=r"tabular/lending_club\.csv\.gz"):
        load_dataset("lending_club")


def test_data_folder_is_the_named_one(folder):
    assert data_folder() == folder.parent


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "adlt"}, "did you mean 'adult'"),
        ({"name": "iris"}, "There are: diabetes"),
        ({"source": "network"}, "source='network': diabetes can be had from 'auto', 'bundled'"),
        ({"name": "lending_club", "source": "openml"}, "can be had from 'auto', 'folder'"),
        ({"features": "some"}, "must be 'paper' or 'all'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(**arguments)


def test_missing_columns_are_named(folder):
    ADULT.drop(columns=["race", "age"]).to_csv(folder / "adult.csv.gz", index=False)
    with pytest.raises(ValueError, match="no column 'age', 'race'; there are 'workclass'"):
        load_dataset("adult")


def test_unknown_outcome_labels_are_named(folder):
    ADULT.assign(income=list("abab")).to_csv(folder / "adult.csv.gz", index=False)
    with pytest.raises(ValueError, match=r"'income' has the unknown labels \['a', 'b'\]"):
        load_dataset("adult")


def test_split_is_stratified_and_repeatable():
    dataset = load_dataset("wine")
    train, test = dataset.split(test_size=0.25, random_state=3)
    assert len(test) == 45
    assert sorted([*train.index, *test.index]) == list(dataset.frame.index)
    shares = dataset.frame["cultivar"].value_counts(normalize=True)
    np.testing.assert_allclose(test["cultivar"].value_counts(normalize=True), shares, atol=0.02)
    pd.testing.assert_frame_equal(dataset.split(test_size=0.25, random_state=3)[1], test)
    assert not dataset.split(test_size=0.25, random_state=4)[1].index.equals(test.index)


def test_to_dice():
    dataset = load_dataset()
    before = dataset.frame.copy()
    train, test = dataset.split()
    data = dataset.to_dice(train)
    assert data.outcome_name == "progression"
    assert data.continuous_feature_names == dataset.continuous
    assert data.categorical_feature_names == ["sex"]
    assert len(data.data_df) == len(train)
    assert len(dataset.to_dice().data_df) == len(dataset.frame)
    query = data.prepare_query_instance(test[dataset.features].head(3))
    assert list(query["sex"]) == list(test["sex"].head(3))
    pd.testing.assert_frame_equal(dataset.frame, before)
    data.continuous_feature_names.append("other")
    assert "other" not in dataset.continuous
