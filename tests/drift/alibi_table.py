"""alibi: the explainer's contract, and how its save and load go about our classes."""

from reliances import Reliance, has, is_true, takes

_ADAPTER = "alibi_bridge/adapter.py"


def _row(target, where, *needs):
    return Reliance("alibi", target, where, needs)


TABLE = [
    _row("alibi.api.interfaces:Explainer", _ADAPTER, has("explain", "save", "load")),
    _row("alibi.api.interfaces:Explainer.__init__", _ADAPTER, takes("self", "meta")),
    _row("alibi.api.interfaces:Explainer.save", _ADAPTER, takes("self", "path", only=True)),
    _row("alibi.api.interfaces:Explainer.load", _ADAPTER, takes("path", "predictor", only=True)),
    _row(
        "alibi.api.interfaces:Explainer.reset_predictor",
        _ADAPTER,
        takes("self", "predictor", only=True),
    ),
    _row("alibi.api.interfaces:FitMixin", _ADAPTER, has("fit")),
    _row("alibi.api.interfaces:Explanation", _ADAPTER, has("to_json", "from_json")),
    _row(
        "alibi.api.interfaces:Explanation",
        _ADAPTER,
        takes("meta", "data"),
        is_true(
            lambda kind: kind(meta={"name": "a"}, data={"b": 1}).b == 1,
            "does not show its data as attributes",
        ),
    ),
    _row("alibi.saving:save_explainer", _ADAPTER, takes("explainer", "path")),
    _row("alibi.saving:load_explainer", _ADAPTER, takes("path", "predictor")),
]
