# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What was measured, as rows of a table, with their goals; and a picture of how others compare."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HEADER = (
    "| work | who | median | min - max | n | goal | times AutoFlow's | its least, times AutoFlow's | |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
COLOURS = ("#1b6ca8", "#d1662f", "#4c8c4a", "#8a5a9e")


@dataclass(frozen=True)
class Row:
    """One line of the table: figures of AutoFlow's, or of something else beside it.

    No values: it could not be measured, and ``note`` says why.
    """

    work: str
    who: str
    values: tuple[float, ...]
    unit: str
    note: str = ""
    own: float | None = None
    """AutoFlow's median at the same work, where this row is another's."""
    goal: float | None = None
    """With ``own``, how many times that even the least is to be; else what the median is to be at most."""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        return self.median / self.own if self.values and self.own else None

    @property
    def least_ratio(self) -> float | None:
        """How many times AutoFlow's median another takes when it is lucky.

        papermill's kernels now and then take 3.3 s to end, by a race in ipykernel: nobody is to win by that.
        """
        return min(self.values) / self.own if self.values and self.own else None

    @property
    def met(self) -> bool | None:
        if self.goal is None or not self.values:
            return None
        return self.median <= self.goal if self.least_ratio is None else self.least_ratio >= self.goal


def line(row: Row) -> str:
    """Write a row in Markdown."""
    median = f"{row.median:.3g} {row.unit}" if row.values else "not measured"
    spread = f"{min(row.values):.3g} - {max(row.values):.3g}" if len(row.values) > 1 else ""
    goal = ""
    if row.goal is not None:
        goal = f"{row.goal:g}x" if row.own else f"{row.goal:g} or less"
        goal += {True: ", met", False: ", **missed**", None: ""}[row.met]
    ratio = f"{row.ratio:.1f}x" if row.ratio else ""
    least = f"{row.least_ratio:.1f}x" if row.least_ratio else ""
    cells = (row.work, row.who, median, spread, str(len(row.values)), goal, ratio, least, row.note)
    return "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |"


def write(stem: Path, found: Sequence[Row], conditions: Mapping[str, Any]) -> None:
    """Leave a table, the figures behind it, and a picture.

    Parameters
    ----------
    stem
        Their common path, without a suffix.
    conditions
        When, where and with which versions it was measured.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            **asdict(row),
            "median": row.median if row.values else None,
            "ratio": row.ratio,
            "least_ratio": row.least_ratio,
            "met": row.met,
        }
        for row in found
    ]
    _named(stem, ".json").write_text(json.dumps({**conditions, "rows": rows}, indent=1) + "\n")
    said = "\n".join(f"- {name}: {_words(value)}" for name, value in conditions.items())
    table = "\n".join(line(row) for row in found)
    _named(stem, ".md").write_text(f"# Benchmarks of {conditions['date']}\n\n{said}\n\n{HEADER}\n{table}\n")
    if comparisons := [row for row in found if row.ratio]:
        draw(_named(stem, ".png"), comparisons, conditions)


def draw(path: Path, comparisons: Sequence[Row], conditions: Mapping[str, Any]) -> None:
    """Show how many times AutoFlow's time others take, from their least to their most."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    works = list(dict.fromkeys(row.work for row in comparisons))
    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.42 * len(comparisons) + 0.3 * len(works)), layout="constrained")
    position, ticks, labels = 0.0, [], []
    for number, work in enumerate(works):
        axes.text(0, position - 0.65, f" {work}", fontsize=9, weight="bold", va="center")
        for row in (row for row in comparisons if row.work == work):
            own, ratio = row.own or 1.0, row.ratio or 0.0
            spread = [[ratio - min(row.values) / own], [max(row.values) / own - ratio]]
            axes.barh(position, ratio, 0.7, xerr=spread, color=COLOURS[number % len(COLOURS)], ecolor="0.35", capsize=3)
            axes.annotate(
                f"{ratio:.1f}x",
                (max(row.values) / own, position),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
            if row.goal is not None:
                axes.plot([row.goal] * 2, [position - 0.4, position + 0.4], color="black", linestyle=":", linewidth=2)
            ticks.append(position)
            labels.append(row.who)
            position += 1.0
        position += 0.8
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(ticks, labels)
    axes.set_ylim(position - 0.8, -1.2)
    axes.margins(x=0.12)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("times as long as AutoFlow (the line at 1); median, least and most; dotted: goal", fontsize=8)
    versions = conditions.get("versions", {})
    main = ", ".join(f"{name} {versions[name]}" for name in ("autoflow", "papermill", "ipykernel") if name in versions)
    figure.suptitle(f"{conditions['date']}: {conditions['machine']}\n{main}", fontsize=8, x=0.01, ha="left")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _named(stem: Path, suffix: str) -> Path:
    # a version in the name may have a dot, which is no suffix
    return stem.with_name(stem.name + suffix)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)
