# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Drawings in SVG: how long runs took, and which notebooks read which."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from graphlib import TopologicalSorter
from statistics import median
from zoneinfo import ZoneInfo

from markupsafe import Markup

from autoflow.child.page.shared import short
from autoflow.wording import seconds_text, width

SLOW = 2.0
"""How many times the usual length makes a run a slow one."""

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 900, 220, 70, 24, 10

BOX, GAP, ROW, LETTER = 26, 44, 40, 7.4
LONGEST_LABEL = 28


@dataclass(frozen=True)
class Length:
    """How long a run took that has succeeded."""

    run: int
    started: dt.datetime
    seconds: float
    link: str | None = None
    slow: bool = False


def marked(lengths: Sequence[Length]) -> list[Length]:
    """Mark those that took far longer than is usual."""
    if not lengths:
        return []
    usual = median(each.seconds for each in lengths)
    return [
        Length(each.run, each.started, each.seconds, each.link, each.seconds > SLOW * usual + 1) for each in lengths
    ]


def durations(lengths: Sequence[Length], zone: ZoneInfo) -> Markup:
    """Draw a point for each run over time, a line for what is usual, and a triangle for the slow ones."""
    usual, most = median(each.seconds for each in lengths), max(each.seconds for each in lengths) * 1.05 or 1.0
    first, last = lengths[0].started, lengths[-1].started
    whole = max((last - first).total_seconds(), 1.0)

    def place(each: Length) -> tuple[float, float]:
        across = (each.started - first).total_seconds() / whole if len(lengths) > 1 else 0.5
        return LEFT + 8 + across * (WIDTH - LEFT - 24), height(each.seconds)

    def height(seconds: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - seconds / most)

    points = Markup("").join(_point(each, *place(each), zone) for each in lengths)
    baseline = HEIGHT - BOTTOM
    line = f"M{LEFT} {TOP}V{baseline}H{WIDTH - 8}"
    axis = Markup('<path class="axis" d="{}"/>').format(line)
    levels = Markup("").join(
        Markup('<text class="faint" x="{}" y="{:.0f}" text-anchor="end">{}</text>').format(LEFT - 6, at + 4, text)
        for at, text in ((height(most / 1.05), seconds_text(most / 1.05)), (baseline, "0 s"))
    )
    path = f"M{LEFT} {height(usual):.1f}H{WIDTH - 8}"
    dates = Markup('<text class="faint" x="{}" y="{}">{}</text>').format(LEFT, HEIGHT - 6, _day(first, zone))
    dates += Markup('<text class="faint" x="{}" y="{}" text-anchor="end">{}</text>').format(
        WIDTH - 8, HEIGHT - 6, _day(last, zone)
    )
    return Markup(
        '<svg viewBox="0 0 {} {}" width="{}" height="{}" role="group"'
        ' aria-label="How long runs took">{}{}{}<path class="usual" d="{}"/>{}</svg>'
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, axis, levels, dates, path, points)


def _day(moment: dt.datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d}"


def _point(each: Length, across: float, down: float, zone: ZoneInfo) -> Markup:
    words = f"Run {each.run}, {_day(each.started, zone)}: {seconds_text(each.seconds)}{', slow' if each.slow else ''}"
    triangle = f"M{across - 6:.1f} {down + 5:.1f}h12l-6 -11z"
    shape = (
        Markup('<path class="slow" d="{}"/>').format(triangle)
        if each.slow
        else Markup('<circle class="point" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(across, down)
    )
    inside = Markup("<title>{}</title>{}").format(words, shape)
    if not each.slow:
        # to reach one of hundreds by the keyboard would help nobody
        return Markup("<g>{}</g>").format(inside)
    return Markup('<a href="{}" aria-label="{}">{}</a>').format(each.link, words, inside)


def history_line(numbers: Sequence[float], name: str) -> Markup:
    """Draw the outcomes of a check day by day, the last one, which is held, as a triangle; nan is a day without."""
    there = [each for each in numbers if each == each]
    low, high = min(there, default=0.0), max(there, default=0.0)
    wide, tall, step = 12 * len(numbers) + 16, 44, 12
    places = [
        (8 + at * step, 6 + (tall - 16) * (1 - (each - low) / (high - low if high > low else 1.0)))
        for at, each in enumerate(numbers)
        if each == each
    ]
    line = "L".join(f"{across} {down:.1f}" for across, down in places)
    across, down = places[-1] if places else (0, 0)
    mark = f"M{across - 6} {down + 5:.1f}h12l-6 -11z"
    return Markup(
        '<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<path class="edge" d="M{}"/><path class="slow" d="{}"/></svg>'
    ).format(wide, tall, wide, tall, name, line, mark)


def graph(dependencies: Mapping[str, Set[str]]) -> Markup:
    """Draw notebooks in columns: each stands right of all that it reads."""
    columns = _columns(dependencies)
    texts = {label: short(label, LONGEST_LABEL) for label in dependencies}
    wide = max(width(text) for text in texts.values()) * LETTER + 20
    rows = max(map(len, columns))
    places = {
        label: (4 + at * (wide + GAP), 4 + (row + (rows - len(column)) / 2) * ROW)
        for at, column in enumerate(columns)
        for row, label in enumerate(column)
    }
    edges = Markup("").join(
        _edge(places[read], places[label], wide) for label in places for read in sorted(dependencies[label])
    )
    boxes = Markup("").join(
        Markup(
            '<g><title>{}</title><rect class="box" x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{}" rx="4"/>'
            '<text x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text></g>'
        ).format(short(label, 200), x, y, wide, BOX, x + wide / 2, y + BOX / 2 + 4, texts[label])
        for label, (x, y) in places.items()
    )
    across, down = 8 + len(columns) * (wide + GAP) - GAP, 8 + rows * ROW - (ROW - BOX)
    words = "; ".join(
        f"{short(label)} reads {', '.join(short(read) for read in sorted(reads))}" if reads else short(label)
        for label, reads in dependencies.items()
    )
    return Markup(
        '<svg viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}" role="img" aria-label="{}">{}{}</svg>'
    ).format(across, down, across, down, words, edges, boxes)


def _columns(dependencies: Mapping[str, Set[str]]) -> list[list[str]]:
    """Put each label into the first column that is right of all that it reads."""
    sorter = TopologicalSorter(dependencies)
    sorter.prepare()
    columns: list[list[str]] = []
    while sorter.is_active():
        ready = list(sorter.get_ready())
        columns.append(sorted(ready, key=list(dependencies).index))
        sorter.done(*ready)
    return columns


def _edge(read: tuple[float, float], label: tuple[float, float], wide: float) -> Markup:
    (x1, y1), (x2, y2) = (read[0] + wide, read[1] + BOX / 2), (label[0], label[1] + BOX / 2)
    curve = f"M{x1:.0f} {y1:.0f}C{x1 + GAP / 2:.0f} {y1:.0f} {x2 - GAP / 2:.0f} {y2:.0f} {x2 - 5:.0f} {y2:.0f}"
    tip = f"M{x2 - 6:.0f} {y2 - 4:.0f}l6 4l-6 4"
    return Markup('<path class="edge" d="{}{}"/>').format(curve, tip)
