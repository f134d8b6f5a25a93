"""Tables to try things on: three bundled with scikit-learn, and the data sets of the papers.

The papers' tables come from a local folder or from OpenML; this package carries none of them.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dice_extended_plugin.errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    import dice_ml

__all__ = ["DATASETS", "FOLDER_VARIABLE", "Dataset", "data_folder", "load_dataset"]

logger = logging.getLogger(__name__)

#: The environment variable that names the folder with the papers' data.
FOLDER_VARIABLE = "DICE_EXTENDED_DATA"
#: The largest table that is read from the folder, unpacked.
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table with what has to be known about it.

    Attributes
    ----------
    name : str
        What it was asked for by.
    frame : pandas.DataFrame
        The rows, no value missing, the outcome in the last column. Continuous columns are int64
        or float64, categorical columns hold strings (dtype object under every pandas), the
        outcome counts the classes from 0.
    outcome : str
        The name of the last column.
    continuous : list of str
        The names of the continuous features.
    source : str
        Where the rows came from: ``"bundled"``, ``"folder"`` or ``"openml"``.
    """

    name: str
    frame: pd.DataFrame
    outcome: str
    continuous: list[str]
    source: str

    @property
    def features(self) -> list[str]:
        """The names of all features, in the order of the columns."""
        return [column for column in self.frame.columns if column != self.outcome]

    @property
    def categorical(self) -> list[str]:
        """The names of the categorical features, in the order of the columns."""
        return [column for column in self.features if column not in self.continuous]

    def to_dice(self, frame: pd.DataFrame | None = None, **options: Any) -> dice_ml.Data:
        """Return dice-ml's data object.

        Parameters
        ----------
        frame : pandas.DataFrame, optional
            Rows to take instead of all, for example the training part.
        **options
            Passed to ``dice_ml.Data``.

        Returns
        -------
        dice_ml.Data
            With its own copy of the rows.
        """
        import dice_ml

        return dice_ml.Data(
            dataframe=self.frame if frame is None else frame,
            continuous_features=list(self.continuous),
            outcome_name=self.outcome,
            **options,
        )

    def split(
        self, test_size: float | int = 0.2, random_state: int = 0
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return a training and a test frame with the same shares of the classes.

        Parameters
        ----------
        test_size : float or int, optional
            The share of the rows, or their number, in the test frame.
        random_state : int, optional
            Chooses the rows.

        Returns
        -------
        tuple of pandas.DataFrame
            Training and test rows with the outcome; the index is that of `frame`.
        """
        from sklearn.model_selection import train_test_split

        classes = self.frame[self.outcome]
        train, test = train_test_split(
            self.frame, test_size=test_size, random_state=random_state, stratify=classes
        )
        return train, test


def load_dataset(
    name: str = "diabetes",
    source: Literal["auto", "bundled", "folder", "openml"] = "auto",
    *,
    features: Literal["paper", "all"] = "paper",
) -> Dataset:
    """Load a table.

    ``diabetes`` (outcome: progression above the median), ``breast_cancer`` and ``wine`` (three
    classes) are bundled with scikit-learn. ``adult``, ``compas``, ``german``, ``lending_club`` and
    ``credit_default`` are the papers', with the features that the papers use: 8 of Adult (levels
    grouped, one-hot width 29), 5 of COMPAS (width 12), all of German (20, width 61) and of credit
    default (23), and 8 of LendingClub. LendingClub's table has no years of credit history, no grade
    and no purpose: the number of accounts, the term and the verification stand in for them.

    OpenML's tables differ: Adult has its test part too, COMPAS only two races, and German shorter
    names for its levels.

    Parameters
    ----------
    name : str, optional
        One of :data:`DATASETS`.
    source : {"auto", "bundled", "folder", "openml"}, optional
        ``"folder"`` is the local folder of :func:`data_folder`, ``"openml"`` downloads. ``"auto"``
        takes what is bundled, else the folder, and goes to OpenML only when there is no folder.
    features : {"paper", "all"}, optional
        The features that the papers use, or every column of the source with its own levels.

    Returns
    -------
    Dataset
        Rows with a missing value in a chosen column are left out; a log message counts them.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: an unknown name, source or choice of features, or a table without the
        columns that it should have.
    FileNotFoundError
        The folder or the file is missing, or OpenML cannot be reached.
    """
    if name not in _SPECS:
        raise InvalidInputError(
            f"Unknown data set {name!r}{did_you_mean(str(name), DATASETS)}. There are: "
            f"{', '.join(DATASETS)}."
        )
    if features not in ("paper", "all"):
        raise InvalidInputError(f"features={features!r}: must be 'paper' or 'all'.")
    spec = _SPECS[name]
    taken = _choose_source(name, spec, source)
    read = {"bundled": _bundled, "folder": _from_folder, "openml": _from_openml}[taken]
    raw = read(name, spec).rename(columns=dict(spec.rename))
    if spec.prepare is not None:
        raw = spec.prepare(raw)
    everything = [column for column in raw.columns if column != spec.outcome]
    chosen = [*(spec.paper if features == "paper" and spec.paper else everything), spec.outcome]
    if missing := [repr(column) for column in chosen if column not in raw.columns]:
        raise InvalidInputError(
            f"Data set {name} from {taken}: no column {', '.join(missing)}; there are "
            f"{', '.join(map(repr, raw.columns))}. This is another version of the data: put the "
            "right one in its place, or choose another source."
        )
    whole = raw[chosen].dropna().reset_index(drop=True)
    if lost := len(raw) - len(whole):
        logger.info("%s: left out %d of %d rows: a value is missing", name, lost, len(raw))
    groups = spec.groups if features == "paper" else {}
    frame = pd.DataFrame(
        {
            column: _column(
                whole[column],
                spec.levels.get(column, {}),
                groups,
                numeric=column == spec.outcome or column not in spec.levels,
            )
            for column in chosen
        }
    )
    numbers = frame.select_dtypes("number").columns
    if spec.outcome not in numbers:
        raise InvalidInputError(
            f"Data set {name} from {taken}: the outcome {spec.outcome!r} has the unknown labels "
            f"{sorted(frame[spec.outcome].unique())}; expected 0 and 1."
        )
    continuous = [column for column in chosen[:-1] if column in numbers]
    return Dataset(name, frame, spec.outcome, continuous, taken)


def data_folder() -> Path | None:
    """Return the local folder with the papers' data, or None.

    It is the one that the environment variable ``DICE_EXTENDED_DATA`` names, else ``shared/data``
    beside the checkout. The tables are in its subfolder ``tabular``.

    Returns
    -------
    pathlib.Path or None
        None when there is no such folder.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(named).expanduser() if named else beside
    return folder if folder.is_dir() else None


@dataclass(frozen=True)
class _Spec:
    """How one data set is found and brought to our names.

    `rename` names columns, `levels` the levels of a column (and makes it categorical), `groups`
    the levels of every column of the paper's choice `paper` (empty: all columns).
    """

    outcome: str
    paper: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    loader: str = ""
    file: str = ""
    openml_id: int = 0


def _choose_source(name: str, spec: _Spec, source: str) -> str:
    there = {"bundled": spec.loader, "folder": spec.file, "openml": spec.openml_id}
    possible = [kind for kind, has in there.items() if has]
    if source == "auto":
        return possible[-1] if data_folder() is None else possible[0]
    if source not in possible:
        choices = ", ".join(repr(kind) for kind in ("auto", *possible))
        raise InvalidInputError(f"source={source!r}: {name} can be had from {choices}.")
    return source


def _bundled(name: str, spec: _Spec) -> pd.DataFrame:
    import sklearn.datasets

    options = {"scaled": False} if name == "diabetes" else {}
    frame: pd.DataFrame = getattr(sklearn.datasets, spec.loader)(as_frame=True, **options).frame
    return frame.rename(columns=lambda column: column.replace(" ", "_").replace("/", "_"))


def _from_folder(name: str, spec: _Spec) -> pd.DataFrame:
    folder = data_folder()
    other = ", or use source='openml'" if spec.openml_id else ""
    if folder is None:
        named = os.environ.get(FOLDER_VARIABLE)
        why = f"{FOLDER_VARIABLE}={named!r} is no folder" if named else "there is no data folder"
        raise FileNotFoundError(
            f"Data set {name}: {why}. Set {FOLDER_VARIABLE} to a folder that holds "
            f"tabular/{spec.file}{other}."
        )
    path = folder / "tabular" / spec.file
    if not path.is_file():
        raise FileNotFoundError(f"Data set {name}: no file {path}. Put it there{other}.")
    return _read_csv(path)


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a packed table. A small file may unpack to a thousand times its size: not here."""
    try:
        with gzip.open(path) as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise InvalidInputError(f"{path} unpacks to more than {_MOST_BYTES:,} bytes; refused")
        return pd.read_csv(io.BytesIO(text))
    except InvalidInputError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InvalidInputError(f"{path} is not a table in CSV, packed by gzip: {error}") from error


def _from_openml(name: str, spec: _Spec) -> pd.DataFrame:
    from sklearn.datasets import fetch_openml

    logger.info("%s: asking OpenML for its data set %d", name, spec.openml_id)
    try:
        frame: pd.DataFrame = fetch_openml(data_id=spec.openml_id, as_frame=True).frame
    except OSError as error:
        raise FileNotFoundError(
            f"Data set {name}: OpenML cannot be reached ({error}). Set {FOLDER_VARIABLE} to a "
            f"folder that holds tabular/{spec.file}, or take a bundled data set: "
            f"{', '.join(key for key, other in _SPECS.items() if other.loader)}."
        ) from error
    return frame


def _column(column: pd.Series, *tables: Mapping[str, str], numeric: bool) -> pd.Series:
    """Return numbers as int64 or float64 where allowed, all else as strings, renamed by tables."""
    codes, found = pd.factorize(column)
    names = [_name(level) for level in found]
    for table in tables:
        names = [table.get(level, level) for level in names]
    values = np.array(names, dtype=object)
    if numeric:
        numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=float)
        if not np.isnan(numbers).any():
            whole = np.isfinite(numbers).all() and (numbers == numbers.round()).all()
            return pd.Series(numbers.astype(np.int64 if whole else np.float64)[codes])
    return pd.Series(values[codes], dtype=object)


def _name(level: Any) -> str:
    """Return a level as text: a whole number without a point, no space around."""
    whole = isinstance(level, (int, float, np.number)) and float(level).is_integer()
    return str(int(level)) if whole else str(level).strip()


def _diabetes(frame: pd.DataFrame) -> pd.DataFrame:
    """Cut the measure of progression at its median."""
    measure = frame.pop("target")
    return frame.assign(progression=(measure > measure.median()).astype("int64"))


def _adult(frame: pd.DataFrame) -> pd.DataFrame:
    """Make "Unknown" a level: the file says "?", OpenML leaves it out."""
    for column in frame.columns.intersection(["workclass", "occupation", "native_country"]):
        values = frame[column].astype(object)
        known = values.notna() & (values != "?")
        frame = frame.assign(**{column: values.where(known, "Unknown")})
    return frame


def _compas(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn OpenML's indicator columns back into one column each."""
    for column in ("race", "c_charge_degree", "age_cat"):
        indicators = [name for name in frame.columns if name.startswith(f"{column}_")]
        if indicators and column not in frame.columns:
            chosen = frame[indicators].astype(float).to_numpy().argmax(axis=1)
            levels = np.array([name.removeprefix(f"{column}_") for name in indicators])
            frame = frame.drop(columns=indicators).assign(**{column: levels[chosen]})
    return frame.drop(columns="age_cat", errors="ignore")


def _german(frame: pd.DataFrame) -> pd.DataFrame:
    """Name the purposes right in a table where they are shifted.

    Codes A40 to A49 and A410 were named in alphabetical order, A410 (others) before A42, so that
    each purpose from there on has its neighbour's name. A table with a vacation in it is of that
    kind: no row of the original has that purpose.
    """
    if "purpose" not in frame.columns or not frame["purpose"].str.startswith("(vacation").any():
        return frame
    right = _column(frame["purpose"], _SHIFTED_PURPOSES, numeric=False)
    return frame.assign(purpose=right.to_numpy())


_SHIFTED_PURPOSES = {
    "furniture/equipment": "others",
    "radio/television": "furniture/equipment",
    "domestic appliances": "radio/television",
    "repairs": "domestic appliances",
    "education": "repairs",
    "(vacation - does not exist?)": "education",
}
# What DiCE's papers make of Adult's levels: 4 + 8 + 5 + 6 + 2 of them, and 2 genders.
_ADULT_GROUPS = {
    "Government": "Federal-gov Local-gov State-gov",
    "Self-Employed": "Self-emp-inc Self-emp-not-inc",
    "School": "Preschool 1st-4th 5th-6th 7th-8th 9th 10th 11th 12th",
    "Assoc": "Assoc-acdm Assoc-voc",
    "Married": "Married-AF-spouse Married-civ-spouse Married-spouse-absent",
    "Single": "Never-married",
    "White-Collar": "Adm-clerical Exec-managerial",
    "Blue-Collar": "Craft-repair Farming-fishing Handlers-cleaners Machine-op-inspct "
    "Transport-moving",
    "Service": "Other-service Priv-house-serv Protective-serv Tech-support",
    "Professional": "Prof-specialty",
    "Other/Unknown": "Never-worked Without-pay Armed-Forces Unknown",
    "Other": "Amer-Indian-Eskimo Asian-Pac-Islander Black",
}
# OpenML's name of each column: ours.
_GERMAN_COLUMNS = {
    "checking_status": "account_check_status",
    "duration": "duration_in_month",
    "credit_history": "credit_history",
    "purpose": "purpose",
    "credit_amount": "credit_amount",
    "savings_status": "savings",
    "employment": "present_emp_since",
    "installment_commitment": "installment_as_income_perc",
    "personal_status": "personal_status_sex",
    "other_parties": "other_debtors",
    "residence_since": "present_res_since",
    "property_magnitude": "property",
    "age": "age",
    "other_payment_plans": "other_installment_plans",
    "housing": "housing",
    "existing_credits": "credits_this_bank",
    "job": "job",
    "num_dependents": "people_under_maintenance",
    "own_telephone": "telephone",
    "foreign_worker": "foreign_worker",
}
_CREDIT_COLUMNS = (
    *("limit_bal", "sex", "education", "marriage", "age"),
    *(f"pay_{month}" for month in (0, 2, 3, 4, 5, 6)),
    *(f"bill_amt{month}" for month in range(1, 7)),
    *(f"pay_amt{month}" for month in range(1, 7)),
)
_SPECS = {
    "diabetes": _Spec(
        outcome="progression",
        # The names in scikit-learn's description, which does not say which sex is which.
        rename={"s1": "tc", "s2": "ldl", "s3": "hdl", "s4": "tch", "s5": "ltg", "s6": "glu"},
        levels={"sex": {"1": "sex_1", "2": "sex_2"}},
        prepare=_diabetes,
        loader="load_diabetes",
    ),
    "breast_cancer": _Spec(
        outcome="benign", rename={"target": "benign"}, loader="load_breast_cancer"
    ),
    "wine": _Spec(outcome="cultivar", rename={"target": "cultivar"}, loader="load_wine"),
    "adult": _Spec(
        outcome="income",
        paper=(
            *("age", "workclass", "education", "marital_status", "occupation", "race", "gender"),
            "hours_per_week",
        ),
        rename={
            **{"sex": "gender", "class": "income", "education-num": "education_num"},
            **{"marital-status": "marital_status", "hours-per-week": "hours_per_week"},
            **{"capital-gain": "capital_gain", "capital-loss": "capital_loss"},
            **{"native-country": "native_country"},
        },
        levels={"income": {"<=50K": "0", ">50K": "1"}},
        groups={old: new for new, levels in _ADULT_GROUPS.items() for old in levels.split()},
        prepare=_adult,
        file="adult.csv.gz",
        openml_id=1590,
    ),
    "compas": _Spec(
        outcome="two_year_recid",
        paper=("age", "sex", "race", "priors_count", "c_charge_degree"),
        rename={"twoyearrecid": "two_year_recid"},
        levels={"sex": {"0": "Female", "1": "Male"}},
        prepare=_compas,
        file="compas.csv.gz",
        openml_id=42193,
    ),
    "german": _Spec(
        outcome="default",
        paper=tuple(_GERMAN_COLUMNS.values()),
        rename=_GERMAN_COLUMNS | {"class": "default"},
        levels={"default": {"good": "0", "bad": "1"}},
        prepare=_german,
        file="german_credit.csv.gz",
        openml_id=31,
    ),
    "lending_club": _Spec(
        outcome="repaid",
        paper=(
            *("emp_length", "annual_inc", "open_acc", "total_acc"),
            *("home_ownership", "verification_status", "term", "addr_state"),
        ),
        levels={"term": {"36": "36 months", "60": "60 months"}},
        file="lending_club.csv.gz",
    ),
    "credit_default": _Spec(
        outcome="default",
        paper=_CREDIT_COLUMNS,
        rename={"y": "default"} | {f"x{i}": name for i, name in enumerate(_CREDIT_COLUMNS, 1)},
        levels={
            "sex": {"1": "male", "2": "female"},
            # Codes that nobody has documented (education 0, 5, 6; marriage 0) are "others".
            "education": {"1": "graduate school", "2": "university", "3": "high school"}
            | dict.fromkeys("0456", "others"),
            "marriage": {"1": "married", "2": "single"} | dict.fromkeys("03", "others"),
        },
        file="credit_default.csv.gz",
        openml_id=42477,
    ),
}
#: The names of the data sets, the bundled ones first.
DATASETS = tuple(_SPECS)
