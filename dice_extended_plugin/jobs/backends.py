"""Names of who treats the chunks."""

from __future__ import annotations

__all__ = ["BACKENDS"]

#: This process, processes of this machine (joblib), or a cluster.
BACKENDS = ("serial", "loky", "dask", "ray")
