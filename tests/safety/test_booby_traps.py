"""Files that run code when they are read as code do nothing here, whatever argument they go to."""

import ast
import json
import pickle
import socket
from pathlib import Path

import pytest
from readers import READERS, put
from traps import TRAPS

import dice_extended_plugin
from dice_extended_plugin.errors import InvalidInputError

ROOT = Path(dice_extended_plugin.__file__).parents[1]


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("reader", READERS)
def test_a_trap_does_not_fire(reader, trap, tmp_path):
    given = READERS[reader]
    for module in given.needs:
        pytest.importorskip(module)
    marker = tmp_path / "fired"
    content = TRAPS[trap](marker)
    (tmp_path / "in").mkdir()
    with pytest.raises(InvalidInputError):
        given.read(tmp_path / "in", content)
    assert not marker.exists()


def _job_file(folder, content):
    from dice_extended_plugin.jobs.config import read_toml

    return read_toml(put(folder, "job.toml", content))


def _job_rows(suffix):
    def read(folder, content):
        from dice_extended_plugin.jobs.sources import open_source

        return list(open_source(put(folder, f"rows.{suffix}", content), None).blocks())

    return read


def _job_folder(folder, content):
    """Every file that a job's folder may hold."""
    from dice_extended_plugin.jobs.run import read_job
    from dice_extended_plugin.jobs.store import Store

    for path in (ROOT / "dice_extended_plugin" / "jobs").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            name = getattr(node, "value", None)
            if isinstance(name, str) and name.endswith((".json", ".parquet")) and "/" not in name:
                put(folder, name, content)
    assert Store is not None and list(folder.iterdir())
    return read_job(folder).to_frame()


JOBS = {
    "job file": _job_file,
    "job folder": _job_folder,
    **{f"rows, {suffix}": _job_rows(suffix) for suffix in ("csv", "csv.gz", "parquet", "npz")},
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("reader", JOBS)
def test_a_trap_does_not_fire_in_a_job(reader, trap, tmp_path):
    """Any text is a table in CSV; what is read is text, and what is not read is told."""
    pytest.importorskip("pyarrow")
    from dice_extended_plugin.jobs.errors import JobError

    marker = tmp_path / "fired"
    content = TRAPS[trap](marker)
    (tmp_path / "in").mkdir()
    try:
        JOBS[reader](tmp_path / "in", content)
    except (InvalidInputError, JobError):
        pass
    else:
        assert "csv" in reader
    assert not marker.exists()


@pytest.mark.parametrize("trap", ["pickle", "pickle protocol 0"])
def test_the_traps_work(trap, tmp_path):
    """A trap that cannot fire would prove nothing."""
    pickle.loads(TRAPS[trap](tmp_path / "fired"))
    assert (tmp_path / "fired").exists()


def test_the_array_traps_work(tmp_path):
    np = pytest.importorskip("numpy")
    for trap, suffix in (("npy of objects", "npy"), ("npz of objects", "npz")):
        place = put(tmp_path, f"x.{suffix}", TRAPS[trap](tmp_path / suffix / "fired"))
        (tmp_path / suffix).mkdir()
        loaded = np.load(place, allow_pickle=True)
        if suffix == "npz":
            loaded["images"]
        assert (tmp_path / suffix / "fired").exists()


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:9/x.json", "file:///etc/passwd", "/etc/passwd", "s3://bucket/x"]
)
def test_an_address_in_a_result_is_not_opened(text, monkeypatch):
    """dice-ml's older format goes through pandas.read_json, which opens addresses and paths."""
    from dice_extended_plugin.results import RobustCounterfactualExplanations

    def refuse(*arguments, **keywords):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("pandas.read_json", refuse)
    example = {
        **{"data_interface": {"outcome_name": "y"}, "model_type": "classifier"},
        **{"desired_class": 1, "desired_range": None},
        **{"test_instance_df": text, "final_cfs_df": None},
    }
    whole = {
        **{"cf_examples_list": [json.dumps(example)], "local_importance": None},
        **{"summary_importance": None, "metadata": {"version": "1.0"}},
    }
    with pytest.raises(InvalidInputError):
        RobustCounterfactualExplanations.from_json(json.dumps(whole))


#: Path arguments that are written to, or that name folders with code of the user's own.
_OUTPUTS = {
    *("alibi_bridge.adapter:BridgeExplainer.save_safe.path",),
    *("alibi_bridge.attgan.checkpoints:save.folder", "alibi_bridge.attgan.model:AttGAN.save.path"),
    *("alibi_bridge.counterfactual_gan.model:JointGAN.save.path",),
    *("alibi_bridge.counterfactual_gan.checkpoints:put_down.path",),
    *("alibi_bridge.counterfactual_gan.multiclass:OneAgainstBackground.save.path",),
    *("alibi_bridge.saving:save_bundle.path", "dice_extended_plugin.demo:run.out"),
}
#: Only looks whether something is there.
_LOOKS = {
    "alibi_bridge.counterfactual_gan.checkpoints:is_there.path",
    "alibi_bridge.counterfactual_gan.model:JointGAN.prepare.checkpoint",
    "alibi_bridge.saving:check_writable.path",
}
#: Jobs are above and in tests/jobs; reports are written only; folders of checks hold code.
_ELSEWHERE = (
    *("dice_extended_plugin.jobs.", "dice_extended_plugin.audit_report."),
    *("dice_extended_plugin.factories:", "dice_extended_plugin.checks."),
)


def _path_arguments():
    for package in ("dice_extended_plugin", "art_bridge", "alibi_bridge"):
        for file in (ROOT / package).rglob("*.py"):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            yield from _arguments(ast.parse(file.read_text(encoding="utf-8")), f"{module}:")


def _arguments(node, before):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from _arguments(child, f"{before}{child.name}.")
        elif isinstance(child, ast.FunctionDef) and (
            child.name == "__init__" or not child.name.startswith("_")
        ):
            for argument in (*child.args.args, *child.args.kwonlyargs):
                if argument.annotation and "Path" in ast.unparse(argument.annotation):
                    yield f"{before}{child.name}.{argument.arg}"


def test_every_path_argument_is_trapped():
    """Whoever adds one adds it to readers.py (it is read) or to the lists above."""
    found = {name for name in _path_arguments() if not name.startswith(_ELSEWHERE)}
    covered = {name for reader in READERS.values() for name in reader.covers}
    assert len(found) > 20
    assert found - covered - _OUTPUTS - _LOOKS == set()
    assert (covered | _OUTPUTS | _LOOKS) - found == set()  # no stale names


def test_what_security_md_links_is_there():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert len(links) >= 5 and all((ROOT / link).is_file() for link in links), links
