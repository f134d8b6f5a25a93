"""No module of ours can run code that it was given as data; and the search for it can fail."""

from pathlib import Path

import pytest
from forbidden import findings, imports_by_name

import dice_extended_plugin

ROOT = Path(dice_extended_plugin.__file__).parents[1]
FILES = sorted(
    path
    for package in ("dice_extended_plugin", "art_bridge", "alibi_bridge")
    for path in (ROOT / package).rglob("*.py")
)
#: Modules that import what a name says, a name that a person wrote: an entry point or a job's file.
NAMED_IMPORTS = {
    "dice_extended_plugin/plugins.py",
    "dice_extended_plugin/registry.py",
    "dice_extended_plugin/factories.py",
    # Names from a table in the module itself.
    "dice_extended_plugin/checks/suite.py",
    "dice_extended_plugin/jobs/clusters.py",
}
#: Asks whether the scheduler answers whose address the user gave: Ray itself would try for minutes.
CONNECTING = ("dice_extended_plugin/jobs/clusters.py", "imports socket")


def test_all_packages_are_walked():
    assert len(FILES) > 180
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == {
        *("dice_extended_plugin", "art_bridge", "alibi_bridge")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_forbidden(path):
    place, connecting = CONNECTING
    found = [
        finding
        for finding in findings(path.read_text(encoding="utf-8"))
        if not (path == ROOT / place and finding.text.startswith(connecting))
    ]
    assert not found, "\n".join(f"{path}:{line}: {text}" for line, text in found)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "import cPickle",
        "import _pickle",
        "from pickle import loads",
        "import dill",
        "import cloudpickle",
        "from joblib.externals import cloudpickle",
        "import shelve",
        "import marshal",
        "def f():\n    import dill",
        "import importlib\nimportlib.import_module('pickle')",
        "__import__('os')",
        "import joblib\njoblib.load(p)",
        "from joblib import load\nload(p)",
        "from joblib import load as read\nread(p)",
        "eval('1')",
        "exec('1')",
        "compile('1', '', 'eval')",
        "f = eval",
        "import builtins\nbuiltins.exec('1')",
        "frame.eval('a + b')",
        "import numpy as np\nnp.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "import numpy as np\nnp.load(p, allow_pickle=flag)",
        "from numpy import load\nload(p)",
        "import numpy\nnumpy.load(p, 'r')",
        "anything(allow_pickle=True)",
        "import torch\ntorch.load(p)",
        "import torch\ntorch.load(p, weights_only=False)",
        "from torch import load\nload(p)",
        "import torch\ntorch.save(x, p)",
        "import torch\ntorch.hub.load('a', 'b')",
        "import torch\ntorch.jit.load(p)",
        "import pandas as pd\npd.read_pickle(p)",
        "frame.to_pickle(p)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "from yaml import unsafe_load",
        "import keras\nkeras.models.load_model(p)",
        "import keras\nkeras.models.load_model(p, safe_mode=False)",
        "from tensorflow.keras.models import load_model\nload_model(p)",
        "import keras\nkeras.config.enable_unsafe_deserialization()",
        "import os\nos.system('ls')",
        "from os import system",
        "import os\nos.execv('a', [])",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.run('ls', shell=flag)",
        "import subprocess\nsubprocess.getoutput('ls')",
        "archive.extractall(p)",
        "import shutil\nshutil.unpack_archive(p)",
        "AutoModel.from_pretrained(name)",
        "AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=True)",
        "import socket",
        "import requests",
        "from urllib import request",
        "import urllib.request",
    ],
)
def test_the_walker_catches(source):
    assert findings(source)


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.load(p, allow_pickle=False)",
        "import torch\ntorch.load(p, weights_only=True)",
        "import re\nre.compile('a')",
        "network.eval()",
        "import json\njson.load(file)",
        "registry.load('dice_method', 'x')",
        "import keras\nkeras.models.load_model(p, safe_mode=True)",
        "from urllib.parse import urlparse",
        "import joblib\njoblib.Parallel(2)",
        "SwinBackbone.from_pretrained(name, use_safetensors=True)",
        "SwinConfig.from_pretrained(name)",
        "import subprocess\nsubprocess.run(['ls'])",
    ],
)
def test_the_walker_lets_pass(source):
    assert not findings(source)


def test_names_are_imported_in_few_places():
    """A name to import may come from an entry point or a job's file, nowhere else."""
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if imports_by_name(path.read_text(encoding="utf-8"))
    }
    assert importing <= NAMED_IMPORTS, importing - NAMED_IMPORTS
