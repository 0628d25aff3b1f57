# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A contract for import-linter: what is in a room is reached by its door alone, the names in its ``__init__``."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class DoorsContract(Contract):
    """Nothing outside of a package below ``root`` imports a module inside of it.

    Packages that are no rooms, since each of their modules is used by itself, are named in ``open``.
    """

    type_name = "doors"
    root = fields.StringField()
    open = fields.SetField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        past = [
            (importer, imported)
            for imported in sorted(graph.find_descendants(str(self.root)))
            for importer in sorted(graph.find_modules_that_directly_import(imported))
            if self._is_behind_a_door(imported, importer)
        ]
        return ContractCheck(kept=not past, metadata={"past": past})

    def _is_behind_a_door(self, imported: str, importer: str) -> bool:
        room, _, inside = imported.removeprefix(f"{self.root}.").partition(".")
        is_of_the_house = f"{importer}.".startswith(f"{self.root}.{room}.")
        return bool(inside) and room not in (self.open or ()) and not is_of_the_house

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["past"]:
            output.print_error(f"{importer} reaches past a door: {imported}", bold=False)
