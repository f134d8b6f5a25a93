"""Names of who treats the chunks."""

from __future__ import annotations

__all__ = ["BACKENDS"]

#: This process, processes of this machine, or a cluster through joblib.
BACKENDS = ("serial", "loky", "dask", "ray")
