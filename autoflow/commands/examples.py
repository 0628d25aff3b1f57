# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What ``--help`` and the manual show of each command: lines to copy, with a comment each."""

from __future__ import annotations

EXAMPLES = {
    "once": (
        ("autoflow once", "run what is due, and exit"),
        ("autoflow once --json", "what became of each run, for scripts"),
    ),
    "serve": (
        ("autoflow serve", "as the systemd unit and the image do"),
        ("autoflow serve --now", "do not wait for the first tick"),
    ),
    "health": (
        ("autoflow health", "what it does, and what is wrong"),
        ("autoflow health --alive", "for supervisors: it answers, whatever FlowAPI does"),
    ),
    "plan": (
        ("autoflow plan", "what the next tick runs"),
        ("autoflow plan --dates dates.txt", "what these dates would lead to"),
        ("autoflow plan --at 2016-01-31 --all", "as if later dates were not there"),
    ),
    "why": (("autoflow why flows 2016-01-31", "the state of this date, and why"),),
    "calendar": (
        ("autoflow calendar", "all workflows, as many dates as fit"),
        ("autoflow calendar flows --from 2016-01-01 --by month", ""),
        ("autoflow calendar --csv", "one line for each trigger and date"),
    ),
    "runs": (
        ("autoflow runs --state failed --last 5", "the newest failures"),
        ("autoflow runs --workflow flows --from 2016-01-01", ""),
        ("autoflow runs --json", "for scripts"),
    ),
    "show": (
        ("autoflow show 12", "the newest attempt at run 12"),
        ("autoflow show 12.3 --log", "its third attempt, with what it printed"),
    ),
    "try": (
        ("autoflow try flows 2016-01-31", "with outputs in a new directory"),
        ("autoflow try flows 2016-01-31 --notebook report --open", ""),
        ("autoflow try flows 2016-01-31 --set area=north --outputs tried", ""),
    ),
    "diff": (
        ("autoflow diff 12 14", "two runs"),
        ("autoflow diff 12.1 12.2 --tolerance 1e-9", "two attempts at a run"),
        ("autoflow diff 12 tried", "a run, and the outputs of `autoflow try`"),
    ),
    "rerun": (
        ("autoflow rerun 12 13", "two runs"),
        ("autoflow rerun --workflow flows --from 2016-01-01 --to 2016-01-31", "what failed"),
        ("autoflow rerun 12 --downstream --yes", "and what depends on it, without asking"),
        ("autoflow rerun --stale", "what rests on data that were ingested anew"),
    ),
    "backfill": (("autoflow backfill flows 2015-12-01 2015-12-31", "dates before the earliest one"),),
    "repair": (("autoflow repair 12", "only what failed"),),
    "cancel": (("autoflow cancel 12 --reason 'wrong input'", ""),),
    "skip": (("autoflow skip flows 2016-01-05 2016-01-07 --reason 'no data'", "three dates"),),
    "unskip": (("autoflow unskip flows 2016-01-05", ""),),
    "accept": (("autoflow accept flows 2016-01-05 --reason 'a holiday'", "a date that QA checks hold"),),
    "hold": (("autoflow hold flows 2016-01-05 --reason 'the operator sends it again'", ""),),
    "keep": (("autoflow keep 12 --reason 'the change is of a region that it does not show'", ""),),
    "stale": (
        ("autoflow stale", "which reports rest on data that were ingested anew"),
        ("autoflow stale --workflow flows", ""),
        ("autoflow stale --code", "which reports were made with older notebooks"),
    ),
    "unhold": (("autoflow unhold flows 2016-01-05", ""),),
    "quality": (
        ("autoflow quality", "checks, and their newest outcomes"),
        ("autoflow quality --suggest", "limits to begin with, and which dates so far fail them, as YAML"),
    ),
    "import-record": (
        ("autoflow import-record postgresql://me@db.example.org/autoflow", ""),
        ("autoflow import-record runs.csv --yes", ""),
    ),
    "notify": (("autoflow notify --test", ""),),
    "check": (("autoflow check", "all mistakes at once"), ("autoflow check --json", "for continuous integration")),
    "doctor": (("autoflow doctor", "to look at, or for a bug report"),),
    "backup": (
        ("autoflow backup /srv/backups", "gets a name with the time"),
        ("autoflow backup - | ssh backup.example.org 'cat > autoflow.tar.gz'", ""),
    ),
    "restore": (
        ("autoflow restore autoflow-20261126T120000Z.tar.gz", ""),
        ("autoflow restore autoflow.tar.gz --record-only", "and leave workflows.yml"),
    ),
    "schema": (
        ("autoflow schema > workflows.schema.json", "for editors"),
        ("autoflow schema json", "of what --json prints"),
    ),
    "import-dag": (("autoflow import-dag flows.py -o workflows.yml", ""),),
    "init": (("autoflow init inputs", ""),),
    "completion": (
        ('eval "$(autoflow completion bash)"', "in ~/.bashrc"),
        ('eval "$(autoflow completion zsh)"', "in ~/.zshrc, after compinit"),
        ("autoflow completion fish > ~/.config/fish/completions/autoflow.fish", ""),
    ),
    "demo-flowapi": (
        ("autoflow demo-flowapi --token-file token", "on port 9090, until Ctrl-C"),
        ("autoflow demo-flowapi --fault 500", "a FlowAPI that fails"),
        ("autoflow demo-flowapi restate 2016-01-03", "ingest a date anew, while it runs"),
    ),
    "cluster": (
        (
            "autoflow cluster certificates ~/certificates",
            "an authority, and certificates for daemon, scheduler, workers",
        ),
        ("autoflow cluster scheduler ~/certificates --host 192.0.2.10", "what workers and AutoFlow connect to"),
    ),
    "worker": (
        ("autoflow worker tls://192.0.2.10:8786 ~/certificates --host 192.0.2.11", "as many notebooks as cores"),
    ),
}


def epilog(name: str) -> str:
    """Write the examples of a command below its help."""
    examples = EXAMPLES[name]
    # a long line keeps its comment to itself
    margin = max((len(line) for line, comment in examples if comment and len(line) < 50), default=0)
    return "\n".join(
        ["examples:", *(f"  {line.ljust(margin)}  # {words}" if words else f"  {line}" for line, words in examples)]
    )
