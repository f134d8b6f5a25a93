"""What dice-ml says of a mistake, put before what we say of it.

Code written for dice-ml, its own tests first, reads its messages. Only a call that is refused asks
dice-ml, so that its checks, which refuse some calls that are fine, refuse nothing here.
"""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase
from raiutils.exceptions import UserConfigValidationException

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["about_class", "about_features", "about_numbers", "in_host_words"]

#: Queries shown to dice-ml, one by one, in search of the one that it refuses.
_MOST_QUERIES = 200


@contextmanager
def in_host_words(*checks: Callable[[], object]) -> Iterator[None]:
    """Let an error of ours begin with the words of the first of dice-ml's `checks` that raises."""
    try:
        yield
    except InvalidInputError as error:
        said = next(filter(None, map(_complaint, checks)), "")
        joint = " " if said.endswith((".", ":", "!")) else ": "
        raise (type(error)(f"{said}{joint}{error}") if said else error) from error.__cause__


def _complaint(check: Callable[[], object]) -> str:
    """Return the text of dice-ml's error; "" where there is none, or one of another kind."""
    quiet = contextlib.redirect_stdout(io.StringIO())
    with warnings.catch_warnings(), quiet:
        warnings.simplefilter("ignore")
        try:
            check()
        except (UserConfigValidationException, ValueError) as error:
            return " ".join(str(part) for part in error.args)
        except Exception:  # its checks fail in their own ways on what they do not expect
            return ""
    return ""


def about_numbers(explainer: Any, query_instances: Any, total_CFs: Any, **asked: Any) -> None:
    """Run dice-ml's check of a call's numbers and names of ways."""
    ExplainerBase._validate_counterfactual_configuration(
        explainer, query_instances=query_instances, total_CFs=total_CFs, **asked
    )


def about_features(
    explainer: Any,
    query_instances: Any,
    features_to_vary: Any,
    permitted_range: Mapping[str, Any] | None,
) -> None:
    """Run dice-ml's checks of features, ranges and each query, on a copy that they may write to."""
    own = copy.copy(explainer)
    own.data_interface.check_features_to_vary(features_to_vary=features_to_vary)
    own.data_interface.check_permitted_range(permitted_range)
    frame = query_instances
    if isinstance(frame, Mapping):
        frame = pd.DataFrame([dict(frame)])
    if isinstance(frame, pd.DataFrame):
        for i in range(min(len(frame), _MOST_QUERIES)):
            ExplainerBase.setup(own, features_to_vary, permitted_range, frame.iloc[[i]], None)


def about_class(desired_class: Any, n_classes: int) -> None:
    """Run dice-ml's check of a wanted class."""
    ExplainerBase.infer_target_cfs_class(
        None, desired_class, original_pred=None, num_output_nodes=n_classes
    )
