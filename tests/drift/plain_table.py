"""The small hosts: plugins, parallel runs, numbers."""

from reliances import Reliance, has, takes

_PLUGINS = "dice_extended_plugin/plugins.py"


def _row(distribution, target, where, *needs):
    return Reliance(distribution, target, where, needs)


TABLE = [
    _row(
        "pluggy",
        "pluggy:PluginManager",
        _PLUGINS,
        has("add_hookspecs", "register", "unregister"),
    ),
    _row(
        "pluggy",
        "pluggy:HookspecMarker.__call__",
        "dice_extended_plugin/hookspecs.py",
        takes("self", "firstresult", "warn_on_impl_args"),
    ),
    _row(
        "scikit-learn",
        "sklearn.datasets:load_diabetes",
        "dice_extended_plugin/datasets.py",
        takes("as_frame", "scaled"),
    ),
    _row(
        "scikit-learn",
        "sklearn.datasets:fetch_openml",
        "dice_extended_plugin/datasets.py",
        takes("data_id", "as_frame"),
    ),
    _row(
        "numpy",
        "numpy.lib.format",
        "dice_extended_plugin/npz_files.py",
        has("read_magic", "read_array_header_1_0", "read_array_header_2_0"),
    ),
    _row("pandas", "pandas:factorize", "dice_extended_plugin/datasets.py"),
    _row("scipy", "scipy.spatial:cKDTree", "art_bridge/baselines.py", has("query")),
]
