"""What Alibi asks of an explainer, on the smallest one there can be."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from dice_extended_plugin.errors import InvalidInputError

torch = pytest.importorskip("torch")
pytest.importorskip("alibi", reason="alibi is not installed", exc_type=ImportError)

from alibi.api.interfaces import Explanation  # noqa: E402
from alibi.saving import load_explainer  # noqa: E402

from alibi_bridge.adapter import BridgeExplainer, json_safe  # noqa: E402


class Small(BridgeExplainer):
    kind = "small"

    def __init__(self, predictor=None, scale=1.0, network=None):
        super().__init__(["blackbox"], ["local"], {"scale": scale}, predictor)
        self.scale = scale
        self.network = network or torch.nn.Linear(2, 1)

    def fit(self, X):
        return self

    def explain(self, X):
        return self._explanation({"orig": {"X": X}, "found": torch.tensor(np.nan)})

    def _config(self):
        return {"scale": self.scale}

    def _tensors(self):
        return self.network.state_dict()

    @classmethod
    def _from_config(cls, config, tensors, predictor):
        made = cls(predictor, config["scale"])
        made.network.load_state_dict(tensors)
        return made


def same(a, b):
    return a.scale == b.scale and torch.equal(a.network.weight, b.network.weight)


def test_metadata_is_alibis():
    small = Small(len, scale=np.float32(2))
    assert small.meta["name"] == "Small"
    assert small.meta["type"] == ["blackbox"]
    assert small.meta["params"]["scale"] == 2.0
    assert small.meta["params"]["dice_extended_version"]


def test_an_explanation_is_alibis_and_survives_json():
    X = np.ones((2, 3), np.float32)
    found = Small(len).explain(X)
    assert isinstance(found, Explanation)
    again = Explanation.from_json(found.to_json())
    assert again.orig["X"] == X.tolist()
    assert again.found is None
    assert again.meta == found.meta
    json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_alibis_own_save_and_load(tmp_path):
    small = Small(len, 3.0)
    small.save(tmp_path / "a")
    assert small.predictor is len
    loaded = load_explainer(tmp_path / "a", max)
    assert loaded.predictor is max
    assert same(loaded, small)
    assert same(Small.load(tmp_path / "a", max), small)
    small.predictor = None
    assert same(pickle.loads(pickle.dumps(small)), small)


def test_safe_save_and_load(tmp_path):
    small = Small(len, 3.0)
    small.save_safe(tmp_path / "a")
    loaded = Small.load_safe(tmp_path / "a", max)
    assert loaded.predictor is max
    assert same(loaded, small)
    assert sorted(p.suffix for p in (tmp_path / "a").iterdir()) == [".json", ".safetensors"]


def test_foreign_settings_are_refused(tmp_path):
    from alibi_bridge.saving import save_bundle

    save_bundle(tmp_path / "a", "small", {"other": 1}, Small()._tensors())
    with pytest.raises(InvalidInputError, match="not the settings of Small"):
        Small.load_safe(tmp_path / "a")


def test_what_json_cannot_write_is_made_to_fit():
    found = json_safe(
        {
            np.int64(1): torch.ones(2),
            "flags": np.array([True]),
            "flag": np.bool_(True),
            "nan": np.array([1.0, np.nan]),
            "inf": float("inf"),
            "device": torch.device("cpu"),
            "names": np.array(["a"]),
            "set": {3},
            "bytes": np.zeros((1, 2), np.uint8),
        }
    )
    assert isinstance(found["1"], np.ndarray)
    assert found["flag"] is True
    assert found["nan"] == [1.0, None]
    assert found["inf"] is None
    assert found["device"] == "cpu"
    assert found["names"] == ["a"]
    assert found["set"] == [3]
    assert found["bytes"].dtype == np.uint8


def test_without_alibi_the_text_names_the_extra():
    code = (
        "import sys; sys.modules['alibi'] = None\n"
        "try:\n    import alibi_bridge.adapter\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'dice-extended[alibi]'" in done.stdout
