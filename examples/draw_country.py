# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Draws the country, and names its places; run once, by hand: ``python -m examples.draw_country``.

Places of admin3 are Voronoi cells of scattered towns, cut by a coast, with borders roughened like rivers.
Places of the levels above are made of whole places of the level below.
"""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import LineString, MultiPoint, MultiPolygon, Point, Polygon, mapping
from shapely.ops import polygonize, unary_union

HERE = Path(__file__).parent
COUNTRY = HERE.parent / "autoflow" / "demo_flowapi" / "country.json"
SEED = 20160115
TOWNS = 34
CODE = "VEL"
CENTRE = (14.2, 6.1)
NAMES = {
    "admin0": "Velia",
    "admin1": "Amara Boskland Cardena",
    "admin2": "Amaraport Tessil Ivrea Norrin Bosk Ostrava Pellworth Cardena Tarnmouth",
    "admin3": "Amber Brinton Calder Dunmore Eskdale Farrow Galen Harrod Inver Jorvik Kestrel Lorne Marrow Nettle Orrin"
    " Penrith Quill Rhone Sable Tarn Ulver Vane Wexley Yarrow Zennor Ashby Brae Corran Drift Elmley Fenwick Glade"
    " Hythe Istrad",
}
"""What people call the places of each level, in the order of their codes."""


def main() -> None:
    """Write country.json."""
    draw = random.Random(SEED)
    coast = _coast(draw)
    towns = _scatter(draw, coast, TOWNS)
    cells = [cell.intersection(coast) for cell in shapely.voronoi_polygons(MultiPoint(towns), extend_to=coast).geoms]
    lines = unary_union([_rough_ring(part) for cell in cells for part in _parts(cell)])
    places = [polygon for polygon in polygonize(lines) if polygon.area > 1e-4]
    places.sort(key=lambda place: (-round(place.representative_point().y, 6), place.representative_point().x))
    districts = _group(draw, places, 9)
    provinces = _group(draw, [unary_union([places[i] for i in group]) for group in districts], 3)
    features: dict[str, list[dict[str, Any]]] = {f"admin{level}": [] for level in range(4)}
    everything = unary_union(places)
    features["admin0"].append(_feature(1, CODE, everything))
    for p, province in enumerate(provinces, start=1):
        members = [index for district in province for index in districts[district]]
        code = f"{CODE}.{p}"
        features["admin1"].append(_feature(p, code, unary_union([places[i] for i in members])))
        for d, district in enumerate(province, start=1):
            number = len(features["admin2"]) + 1
            shape = unary_union([places[i] for i in districts[district]])
            features["admin2"].append(_feature(number, f"{code}.{d}", shape))
            for t, index in enumerate(districts[district], start=1):
                features["admin3"].append(_feature(len(features["admin3"]) + 1, f"{code}.{d}.{t}", places[index]))
    COUNTRY.write_text(json.dumps(features, separators=(",", ":")) + "\n")
    write_names(features)


def write_names(features: dict[str, list[dict[str, Any]]]) -> None:
    """Write the table of names beside the notebooks, which FlowAPI does not have."""
    lines = ["pcod,name"]
    for level, members in features.items():
        codes = [feature["properties"]["pcod"] for feature in members]
        lines += [f"{code},{name}" for code, name in zip(codes, NAMES[level].split(), strict=True)]
    (HERE / "inputs" / "place_names.csv").write_text("\n".join(lines) + "\n")


def _coast(draw: random.Random) -> Polygon:
    waves = [(n, draw.uniform(0.02, 0.24) / n**0.7, draw.uniform(0, 2 * math.pi)) for n in range(2, 14)]
    ring = []
    for step in range(240):
        angle = 2 * math.pi * step / 240
        radius = 1.6 * (1 + sum(size * math.sin(n * angle + phase) for n, size, phase in waves))
        ring.append((CENTRE[0] + 1.25 * radius * math.cos(angle), CENTRE[1] + 0.85 * radius * math.sin(angle)))
    return max(_parts(Polygon(ring).buffer(0)), key=lambda part: part.area)


def _scatter(draw: random.Random, coast: Polygon, number: int) -> list[Point]:
    """Scatter towns, the nearest two of them not closer than a day's walk."""
    west, south, east, north = coast.bounds
    towns: list[Point] = []
    while len(towns) < number:
        town = Point(draw.uniform(west, east), draw.uniform(south, north))
        if coast.contains(town) and all(town.distance(other) > 0.32 for other in towns):
            towns.append(town)
    return towns


def _rough_ring(polygon: Polygon) -> LineString:
    corners = [(round(x, 4), round(y, 4)) for x, y in polygon.exterior.coords]
    points: list[tuple[float, float]] = [corners[0]]
    for start, end in pairwise(corners):
        # both neighbours of a border draw it from the same end, and so draw the same line
        first, last = sorted((start, end))
        line = _roughen(first, last, 3)
        points += (line if start == first else line[::-1])[1:]
    return LineString(points)


def _roughen(start: tuple[float, float], end: tuple[float, float], depth: int) -> list[tuple[float, float]]:
    length = math.dist(start, end)
    if depth == 0 or length < 0.03:
        return [start, end]
    chance = random.Random(f"{start} {end}").uniform(-0.16, 0.16)
    middle = (
        round((start[0] + end[0]) / 2 - chance * (end[1] - start[1]), 4),
        round((start[1] + end[1]) / 2 + chance * (end[0] - start[0]), 4),
    )
    return _roughen(start, middle, depth - 1) + _roughen(middle, end, depth - 1)[1:]


def _group(draw: random.Random, shapes: list[Any], number: int) -> list[list[int]]:
    """Put shapes into connected groups of about the same number."""
    points = [shape.representative_point() for shape in shapes]
    seeds = [draw.randrange(len(shapes))]
    while len(seeds) < number:
        seeds.append(max(range(len(shapes)), key=lambda i: min(points[i].distance(points[s]) for s in seeds)))
    groups = [[seed] for seed in seeds]
    left = set(range(len(shapes))) - set(seeds)
    while left:
        for group in sorted(groups, key=len):
            border = [i for i in left if any(shapes[i].distance(shapes[j]) < 1e-6 for j in group)]
            if border:
                nearest = min(border, key=lambda i: points[i].distance(points[group[0]]))
                group.append(nearest)
                left.remove(nearest)
                break
        else:
            break
    return sorted((sorted(group) for group in groups), key=lambda group: group[0])


def _feature(number: int, code: str, shape: Any) -> dict[str, Any]:
    whole = MultiPolygon(_parts(shape))
    return {
        "type": "Feature",
        "id": number,
        "geometry": json.loads(json.dumps(mapping(whole))),
        "properties": {"pcod": code, "centroid": _point(whole.representative_point())},
    }


def _point(point: Point) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [round(point.x, 4), round(point.y, 4)]}


def _parts(shape: Any) -> list[Polygon]:
    return [part for part in getattr(shape, "geoms", [shape]) if isinstance(part, Polygon)]


if __name__ == "__main__":
    main()
