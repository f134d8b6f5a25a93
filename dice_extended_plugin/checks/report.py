"""What came of the checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CheckOutcome", "CheckReport"]


@dataclass(frozen=True)
class CheckOutcome:
    """What came of one check.

    Parameters
    ----------
    kind, component : str
        What was checked.
    backend : str or None
        On which framework.
    check : str
        Name of the check.
    level : {"required", "recommended"}
    status : {"ok", "failed", "skipped"}
    reason : str
        Why it failed or was skipped; "" for "ok".
    seconds : float
    """

    kind: str
    component: str
    backend: str | None
    check: str
    level: str
    status: Literal["ok", "failed", "skipped"]
    reason: str
    seconds: float


@dataclass(frozen=True)
class CheckReport:
    """What came of all checks of a component.

    Parameters
    ----------
    target : str
        What was asked for.
    outcomes : tuple of CheckOutcome
    """

    target: str
    outcomes: tuple[CheckOutcome, ...]

    @property
    def ok(self) -> bool:
        """Whether at least one check ran, and none of the required ones failed."""
        ran = any(one.status != "skipped" for one in self.outcomes)
        return ran and not any(one.level == "required" for one in self.failed)

    @property
    def failed(self) -> tuple[CheckOutcome, ...]:
        """What failed, recommended checks too."""
        return tuple(one for one in self.outcomes if one.status == "failed")

    def count(self, status: str) -> int:
        """Return how many checks ended so."""
        return sum(one.status == status for one in self.outcomes)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per check."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.outcomes])

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can write: ``target``, ``ok``, ``counts``, ``outcomes``."""
        return {
            "target": self.target,
            "ok": self.ok,
            "counts": {name: self.count(name) for name in ("ok", "failed", "skipped")},
            "outcomes": [asdict(one) for one in self.outcomes],
        }

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import Cell, facts, table, titled

        rows = [
            [
                " ".join(part for part in (one.kind, one.component, one.backend) if part),
                one.check,
                one.level,
                Cell(one.status) if one.status == "failed" else one.status,
                one.reason,
            ]
            for one in self.outcomes
        ]
        return titled(
            f"{self.target}: {'ok' if self.ok else 'not ok'}",
            facts({name: self.count(name) for name in ("ok", "failed", "skipped")}),
            table(["component", "check", "level", "status", "reason"], rows, most_rows=len(rows)),
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        width = max((len(one.check) for one in self.outcomes), default=0)
        place = None
        for one in self.outcomes:
            here = " ".join(part for part in (one.kind, one.component, one.backend) if part)
            if here != place:
                yield here
                place = here
            status = "advice" if (one.status, one.level) == ("failed", "recommended") else None
            line = f"  {status or one.status:8}{one.check:{width}}"
            yield f"{line}  {one.reason}".rstrip()
        required = sum(one.level == "required" for one in self.failed)
        yield (
            f"{self.target}: {'ok' if self.ok else 'not ok'}; {self.count('ok')} ok, "
            f"{required} failed, {len(self.failed) - required} recommended not met, "
            f"{self.count('skipped')} skipped"
        )
