# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The JSON Schema of what ``--json`` prints; ``autoflow schema json`` prints it.

A key has the same meaning wherever it stands. Scripts have to bear keys that they do not know.
"""

from __future__ import annotations

from typing import Any

from autoflow.commands.answer import VERSION

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
DATE: Schema = {"type": "string", "format": "date"}
ANYTHING: Schema = {}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _by_name(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _object(properties: Schema, optional: Schema | None = None) -> Schema:
    return {"type": "object", "properties": {**properties, **(optional or {})}, "required": list(properties)}


def _of(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


PARAMETERS = _or_null(_by_name(ANYTHING))
RUN_STATES = (
    *("succeeded", "provisional", "failed", "running", "waiting", "held", "due", "not available", "excluded"),
    "skipped",
    "given up",
)
STATES = ("running", "succeeded", "failed", "interrupted", "cancelled")

PROBLEM = _object(
    {
        "file": _said(TEXT, "empty where it is about no file"),
        "line": _said(COUNT, "counted from 1; 0 where there is none"),
        "column": COUNT,
        "key": _said(TEXT, "the path of a value, such as workflows[0].name; may be empty"),
        "message": TEXT,
        "severity": {"enum": ["error", "warning"]},
    }
)

ATTEMPT = {
    "run": _said(COUNT, "the number of the run"),
    "workflow": TEXT,
    "reference_date": _or_null(DATE),
    "parameters": PARAMETERS,
    "attempt": _said(COUNT, "its number within the run; 0 for what was imported"),
    "state": {"enum": [*STATES, "provisional"]},
    "left_behind": _said(FLAG, "whether it is recorded as running, and AutoFlow ended in the middle of it"),
    "started": TIME,
    "ended": _or_null(TIME),
    "seconds": _or_null(NUMBER),
    "error": _or_null(_said(TEXT, "why it failed")),
    "missing_dates": _said(_list(DATE), "which it was made without"),
    "same_as": _or_null(_said(COUNT, "the first attempt with the same results, although that was made of other data")),
    "held": _said(FLAG, "whether its reports are kept out of latest for that"),
    "superseded": _or_null(_said(TIME, "when a rerun was requested")),
    "is_stale": _said(FLAG, "whether it is stale, and nobody keeps it as it is"),
}

NOTEBOOK = _object(
    {
        "label": TEXT,
        "state": {"enum": list(STATES)},
        "started": TIME,
        "ended": _or_null(TIME),
        "seconds": _or_null(NUMBER),
        "peak_mb": _or_null(_said(COUNT, "the most memory that it took, in MB")),
        "notebook": _or_null(_said(TEXT, "path of the executed notebook")),
        "report": _or_null(_said(TEXT, "path of the first report")),
        "reports": _said(_list(TEXT), "paths of the reports in all formats"),
        "manifest": _or_null(_said(TEXT, "path of the file that says how the reports were made")),
        "error": _or_null(TEXT),
        "reused_from": _or_null(_said(COUNT, "the attempt at the same run that executed it")),
        "warnings": _list(_object({"cell": _or_null(COUNT), "message": TEXT})),
    },
    {"printed": _list(TEXT)},
)

CHANGED_FILES = _said(
    _by_name({"enum": ["changed", "new", "gone"]}),
    "files of the inputs directory that are not what the newest attempt was made with, by path",
)

CHANGE = _object(
    {"name": TEXT, "difference": _or_null(NUMBER), "percent": _or_null(NUMBER)}, {"old": ANYTHING, "new": ANYTHING}
)

TABLE_CHANGE = _object(
    {
        "where": TEXT,
        "rows_removed": _list(TEXT),
        "rows_added": _list(TEXT),
        "columns_removed": _list(TEXT),
        "columns_added": _list(TEXT),
        "cells": _list(
            _object(
                {"row": TEXT, "column": TEXT, "difference": _or_null(NUMBER), "percent": _or_null(NUMBER)},
                {"old": ANYTHING, "new": ANYTHING},
            )
        ),
        "compared": _said(COUNT, "cells that both have"),
    }
)

NOTEBOOK_CHANGES = _object(
    {
        "label": TEXT,
        "parameters": _list(CHANGE),
        "values": _list(CHANGE),
        "tables": _list(TABLE_CHANGE),
        "texts": _list(_object({"cell": COUNT, "lines": _list(TEXT)})),
        "pictures": _said(_list(COUNT), "cells whose pictures differ"),
        "printed": _said(_list(_object({"cell": COUNT, "lines": _list(TEXT)})), "what cells print, which is no result"),
        "code": _said(_list(COUNT), "cells whose code differs"),
    }
)

STALE = {
    "restatements": _list(_of("restatement")),
    "same_as": ATTEMPT["same_as"],
    "arrived": _said(_list(DATE), "dates that the attempt with the same results was made without"),
    "held": ATTEMPT["held"],
    "no_longer_listed": _said(_list(_object({"cdr_type": TEXT, "date": DATE})), "dates that it used"),
}

REPORTS = {
    "reports": _said(_list(TEXT), "paths of those that latest and by-date lead to, in all formats"),
    "reports_attempt": _or_null(_said(COUNT, "the attempt that made them")),
    "reports_missing_dates": _said(_list(DATE), "dates that they were made without"),
    "reports_kept_out": _said(_list(TEXT), "paths of newer ones that are kept out of latest"),
}

EXPLANATION = _object(
    {
        "workflow": TEXT,
        "parameters": PARAMETERS,
        "reference_date": DATE,
        "state": {"enum": list(RUN_STATES)},
        "reason": TEXT,
        "run": _or_null(COUNT),
        "attempt": _or_null(COUNT),
        "ended": _or_null(TIME),
        "error": _or_null(TEXT),
        **REPORTS,
        "attempts_failed": COUNT,
        "next_try": _or_null(TIME),
        "cdr_types": _list(TEXT),
        "require": {"enum": ["any", "all"]},
        "lacking": _said(_by_name(_list(TEXT)), "CDR types that dates lack"),
        "counts_from": _said(_by_name(TIME), "when listed dates begin to count"),
        "changed_files": CHANGED_FILES,
        "stale": _or_null(_object({"kept": _or_null(TEXT), **STALE})),
        "holds": _said(_by_name(_list(_of("held_data"))), "why listed dates do not count"),
        "accepted": _said(
            _by_name(_object({"reason": TEXT, "since": TIME})), "dates that count whatever QA checks say"
        ),
        "stencil": _list(
            _object(
                {
                    "element": _list({"type": ["integer", "string"]}),
                    "from": DATE,
                    "until": _said(DATE, "not in it"),
                    "missing": _list(DATE),
                }
            )
        ),
        "missing": _list(DATE),
        "late": _or_null(
            _object({"missing": COUNT, "of": COUNT, "waits_until": TIME, "unmet": _said(_list(TEXT), "in words")})
        ),
        "missing_dates": _said(_list(DATE), "which the newest attempt was made without"),
        "left_behind": ATTEMPT["left_behind"],
    }
)

RESTATEMENT = _object(
    {
        "cdr_type": TEXT,
        "date": DATE,
        "seen": TIME,
        "changes": _said(_by_name(_object({"old": TEXT, "new": TEXT})), "outcomes of QA checks before and after"),
    }
)

HOLD = _object(
    {
        "cdr_type": _said(TEXT, "empty where somebody holds the date"),
        "check": TEXT,
        "outcome": _or_null(TEXT),
        "limit": _said(TEXT, "what was expected, in words; empty where there is no outcome yet"),
        "waits": _said(FLAG, "whether it only waits for an outcome"),
        "until": _or_null(_said(TIME, "when it counts even without one")),
        "reason": _or_null(_said(TEXT, "why somebody holds it")),
    }
)

PLAN = {
    "as_of": TIME,
    "last_poll": _or_null(TIME),
    "polls_fail_since": _or_null(TIME),
    "under_way": _said(_list(COUNT), "numbers of runs"),
    "left_behind": _said(_list(COUNT), "numbers of runs that AutoFlow ended in the middle of"),
    "next_tick": _or_null(TIME),
    "runs": _list(
        _object(
            {
                "reference_date": DATE,
                "workflow": TEXT,
                "parameters": PARAMETERS,
                "reason": TEXT,
                "expected_seconds": _or_null(NUMBER),
            }
        )
    ),
    "expected_seconds": _or_null(NUMBER),
    "at_a_time": COUNT,
    "next_retry": _or_null(TIME),
    "next_to_count": _or_null(TIME),
    "held": _said(_by_name(COUNT), "dates that nothing but held data keeps from running, by workflow"),
    "given_up": COUNT,
    "removals": _said(_list(TEXT), "paths of files"),
}

SLOTS = _object(
    {
        "in_use": _said(COUNT, "notebooks and reports that are being made, and runs that are about to begin"),
        "given": _said(COUNT, "how many may be"),
        "why": _said(TEXT, "what the next run or notebook waits for; may be empty"),
    },
    {
        "pools": _said(
            _by_name(
                _object(
                    {
                        "places": COUNT,
                        "in_use": COUNT,
                        "waiting": _said(
                            _list(_object({"run": COUNT, "notebook": TEXT})), "notebooks that wait, the next first"
                        ),
                    },
                    {
                        "without_slot": _said(
                            _list(_object({"run": COUNT, "notebook": TEXT})),
                            "notebooks that have a place, and wait for a slot",
                        )
                    },
                )
            ),
            "how much of each pool is in use",
        )
    },
)

CALENDAR_ROW = _object(
    {
        "workflow": TEXT,
        "parameters": PARAMETERS,
        "states": _by_name({"enum": list(RUN_STATES)}),
        "stale": _said(_list(DATE), "those of runs that are stale"),
    },
)

STEERED = {
    "would": _said(TEXT, "what is to be done, in words"),
    "rows": _said(
        _list(
            _object(
                {},
                {
                    "run": COUNT,
                    "reference_date": _or_null(DATE),
                    "workflow": TEXT,
                    "parameters": PARAMETERS,
                    "state": {"enum": [*RUN_STATES, "interrupted", "cancelled", "not started"]},
                    "states": _said(_list({"enum": list(RUN_STATES)}), "one for each trigger"),
                    "label": _said(TEXT, "of a notebook"),
                    "plan": {"enum": ["executed", "used again"]},
                    "note": TEXT,
                },
            )
        ),
        "what is to be done, one thing a row",
    ),
    "left_out": _said(_list(TEXT), "what was named and is not done, with the reason"),
    "hint": TEXT,
    "done": COUNT,
    "by_pid": _or_null(_said(COUNT, "the AutoFlow that does it")),
}

FACTS = {"runs": COUNT, "attempts": COUNT, "newest": _or_null(TIME)}
MANIFEST = {"autoflow": TEXT, "schema": COUNT, "created": TIME, "name": TEXT}

CONTENTS: dict[str, Schema] = {
    "once": {
        "counts": _said(_by_name(COUNT), "of the attempts, by their states"),
        "attempts": _said(_list(_of("attempt")), "those that ended in it"),
    },
    "health": {
        "pid": _or_null(COUNT),
        "doing": _or_null(TEXT),
        "healthy": FLAG,
        "slots": _or_null(_of("slots")),
        "reasons": _said(_list(TEXT), "why it is not healthy"),
        "warnings": _said(_list(TEXT), "what else is wrong"),
    },
    "plan": PLAN,
    "why": {"triggers": _list(EXPLANATION), "slots": _or_null(_of("slots"))},
    "calendar": {"triggers": _list(CALENDAR_ROW)},
    "runs": {"attempts": _list(_of("attempt"))},
    "show": {
        **ATTEMPT,
        **REPORTS,
        "traceback": _or_null(TEXT),
        "attempts": _list(_of("attempt")),
        "notebooks": _list(_of("notebook")),
    },
    "try": {
        **{name: ATTEMPT[name] for name in ("workflow", "reference_date", "parameters", "state", "started", "ended")},
        **{name: ATTEMPT[name] for name in ("seconds", "error")},
        "notebooks": _list(_of("notebook")),
        "reports": _list(TEXT),
        "outputs": _said(TEXT, "the directory of all that was made"),
    },
    "diff": {
        "old": TEXT,
        "new": TEXT,
        "differs": FLAG,
        "only_in": _said(_by_name({"enum": ["old", "new"]}), "notebooks that are on one side alone"),
        "notebooks": _list(NOTEBOOK_CHANGES),
    },
    **dict.fromkeys(("rerun", "backfill", "repair", "cancel", "skip", "unskip"), STEERED),
    **dict.fromkeys(("accept", "hold", "unhold", "keep"), STEERED),
    "stale": {
        "runs": _list(
            _object(
                {
                    "run": COUNT,
                    "workflow": TEXT,
                    "reference_date": DATE,
                    "parameters": PARAMETERS,
                },
                {
                    "kept": _or_null(_said(TEXT, "why its report stays as it is")),
                    "since": TIME,
                    **STALE,
                    "made": _said(TIME, "with --code: when it ended"),
                    "changed_files": _said(CHANGED_FILES, "with --code"),
                },
            )
        ),
        "unknown": _or_null(_said(COUNT, "with --code: good runs that it is not recorded of what they are made of")),
    },
    "quality": {
        "checks": _list(
            _object(
                {
                    "cdr_type": TEXT,
                    "check": TEXT,
                    "dates": _said(COUNT, "that have an outcome"),
                    "first": _or_null(DATE),
                    "last": _or_null(DATE),
                    "newest": _or_null(_said(TEXT, "the outcome of the last date, as FlowAPI gives it")),
                    "held": _said(COUNT, "dates that a check of this name holds, for any trigger"),
                }
            )
        ),
        "off": _or_null(_said(TEXT, "why FlowAPI gives no outcomes")),
        "suggestion": _or_null(_said(TEXT, "YAML for workflows.yml")),
    },
    "import-record": {
        **dict.fromkeys(("new", "known", "failed", "running", "incomplete"), COUNT),
        "unknown_workflows": _list(TEXT),
        "done": FLAG,
    },
    "notify": {
        "channels": _list(_object({"channel": TEXT, "taken": FLAG, "reason": _or_null(TEXT), "seconds": NUMBER})),
        "problems": _list(_of("problem")),
    },
    "check": {"file": TEXT, "valid": FLAG, "problems": _list(_of("problem"))},
    "doctor": {
        "findings": _list(
            _object({"name": TEXT, "verdict": {"enum": ["ok", "note", "warning", "fault"]}, "text": TEXT})
        )
    },
    "backup": {"file": TEXT, "bytes": COUNT, **MANIFEST, "record": _object(FACTS), "workflows": FLAG},
    "restore": {
        "backup": _or_null(_object(MANIFEST)),
        "record": _object(FACTS),
        "missing": _said(COUNT, "outputs that it names and that are not there"),
        "kept": _said(_list(TEXT), "names of what was replaced"),
    },
    "schema": {"schema": _by_name(ANYTHING)},
    "import-dag": {"dag": TEXT, "line": COUNT, "file": _or_null(TEXT), "text": TEXT},
    "init": {"directory": TEXT, "files": _list(TEXT)},
    "completion": {"shell": TEXT, "script": TEXT},
    "demo-flowapi": {"url": TEXT, "done": _or_null(_said(TEXT, "what was changed of a stand-in that runs"))},
}
"""What each command adds."""


def answer_schema() -> Schema:
    """Describe what every command prints with ``--json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What autoflow COMMAND --json prints",
        "description": "Keys that are not described here may come; version is raised when one is renamed or goes.",
        "type": "object",
        "required": ["version", "command", "exit_code", "errors"],
        "properties": {
            "version": {"const": VERSION},
            "command": _or_null({"enum": ["serve", *CONTENTS]}),
            "exit_code": _said(COUNT, "that of the process"),
            "errors": _said(_list(_of("problem")), "what kept it from doing what it was asked for; empty otherwise"),
        },
        "allOf": [
            # what is not there when there were errors, as a rule
            {
                "if": {"properties": {"command": {"const": name}, "errors": {"maxItems": 0}}},
                "then": _of(name),
                "else": {
                    "if": {"properties": {"command": {"const": name}}},
                    "then": {"properties": content},
                },
            }
            for name, content in CONTENTS.items()
        ],
        "$defs": {
            "problem": PROBLEM,
            "attempt": _object(ATTEMPT),
            "notebook": NOTEBOOK,
            "held_data": HOLD,
            "restatement": RESTATEMENT,
            "slots": SLOTS,
            **{name: _object(content) for name, content in CONTENTS.items()},
        },
    }
