"""The ART bridge is tested where ART is installed; plots are drawn without a screen."""

from __future__ import annotations

import os
from importlib.util import find_spec

os.environ.setdefault("MPLBACKEND", "Agg")

collect_ignore_glob = [] if find_spec("art") else ["test_*.py"]
if not find_spec("torch"):
    collect_ignore_glob.append("test_detector.py")
