# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What tests share: a stand-in FlowAPI, and deployments of AutoFlow that are run as users run them."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml

from autoflow import cli
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.demo_flowapi.tokens import Keys
from autoflow.log_writer import LogHandler, flush_log
from autoflow.signal_guard import IGNORED, STOPPING
from autoflow.warm_process import start_warm_process
from tests.answers import answer_of
from tests.warm_parents import STARTS_WARM_PARENTS, WarmParents

ROOT = Path(__file__).parent.parent
NOTEBOOKS = Path(__file__).parent / "notebooks"

# how long an example takes says more of the machine than of AutoFlow
hypothesis.settings.register_profile("autoflow", deadline=None)
hypothesis.settings.load_profile("autoflow")


def pytest_configure() -> None:
    """Keep compiled modules whatever the environment says: hundreds of processes import the same ones here."""
    # before pytest-xdist starts its workers, and before pytest imports tests
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # a shell lets what it starts in the background ignore Ctrl-C, and so would all that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Let the collection of garbage, which an idle daemon does, pass over what pytest and imports have made.

    It would take a tenth of a second each time, in whatever callback of a loop it comes.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _log_that_ends_with_its_test() -> Iterator[None]:
    """Take back the logging of a command that a test has run in this process: its stream is the test's."""
    root, package = logging.getLogger(), logging.getLogger("autoflow")
    handlers, levels, threads = list(root.handlers), (root.level, package.level), threading.enumerate()
    yield
    for handler in [handler for handler in root.handlers if isinstance(handler, LogHandler)]:
        handler.flush()
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        if handler not in root.handlers:
            root.addHandler(handler)
    root.setLevel(levels[0])
    package.setLevel(levels[1])
    for thread in threading.enumerate():
        if thread.name == "log" and thread not in threads:
            # it would go on to draw, in the middle of other tests
            thread.join(60)
            assert not thread.is_alive(), "a LogWriter was not closed"


@pytest.fixture(scope="session", autouse=True)
def _alarms_are_for_pytest() -> Iterator[None]:
    """Leave SIGALRM, which AutoFlow ignores, to pytest-timeout: a test that hangs would hang for good."""
    others = tuple(number for number in IGNORED if number != signal.SIGALRM)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("signal_guard", "system.signals"):
            patch.setattr(f"autoflow.{module}.IGNORED", others)
        yield


@pytest.fixture(autouse=True)
def _signals_that_end_with_their_test() -> Iterator[None]:
    """Take back the handlers that a command has set in this process.

    Until a program that is started has replaced the process that starts it, the kernel says of it that it catches what
    this process does: a test that waits for that would send a signal too early.
    """
    before = {number: signal.getsignal(number) for number in (*STOPPING, *IGNORED, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def warm_parents() -> Iterator[WarmParents]:
    """Forks warm parents that have made their imports."""
    with closing(WarmParents()) as warm_parents:
        yield warm_parents


@pytest.fixture(scope="session", autouse=True)
def _warm_parents_at_once(warm_parents: WarmParents) -> Iterator[None]:
    """Give what runs in this process such warm parents; who starts AutoFlow as a process has real ones."""
    with pytest.MonkeyPatch.context() as patch:
        for name in STARTS_WARM_PARENTS:
            patch.setattr(name, warm_parents.start_warm_process)
        yield


@pytest.fixture
def warm_parent_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start warm parents as AutoFlow does."""
    for name in STARTS_WARM_PARENTS:
        monkeypatch.setattr(name, start_warm_process)


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Sign tokens for each stand-in: keys are what takes longest of starting one."""
    return Keys.generate()


@pytest.fixture
def flowapi(keys: Keys) -> Iterator[FlowapiStandin]:
    with FlowapiStandin(days=2, poll_seconds=0.0, keys=keys) as standin:
        yield standin


@dataclass
class Deployment:
    """One installation: inputs, outputs and environment variables."""

    inputs: Path
    outputs: Path
    environment: dict[str, str] = field(repr=False)
    warm_parents: WarmParents | None = field(default=None, repr=False)
    """What forks the warm parents of an AutoFlow that is started; None lets it start its own."""
    stays_warm: bool = False
    """Whether such a warm parent is there for all of its life, and not for ticks alone: pages are forked, too."""

    def write(self, text: str, *notebooks: str) -> None:
        """Write workflows.yml, and put notebooks of tests/notebooks beside it."""
        (self.inputs / "workflows.yml").write_text(text)
        for name in notebooks:
            shutil.copy(NOTEBOOKS / f"{name}.ipynb", self.inputs)

    def write_simple(self, *notebooks: str, sensor: str = "", **keys: object) -> None:
        """Write one workflow that runs each notebook, named after its file, for each date."""
        tasks = {
            name: {"filename": f"{name}.ipynb", "parameters": {"reference_date": "reference_date"}}
            for name in notebooks
        }
        content = {"workflows": [{"name": "w", "notebooks": tasks, **keys}]}
        trigger = "available_dates_sensor:\n  schedule: '0 0 1 1 *'\n  workflows: [{workflow_name: w}]\n"
        self.write(yaml.safe_dump(content) + trigger + sensor, *notebooks)

    def start(self, *arguments: str, errors: int = subprocess.STDOUT, **environment: str) -> subprocess.Popen[str]:
        """Start AutoFlow in the background, its log in a pipe."""
        variables = {**self.environment, **environment}
        with ExitStack() as stack:
            program, descriptors = ["autoflow"], []
            if self.warm_parents and self.warm_parents.fits(variables):
                descriptors = [stack.enter_context(self.warm_parents.connect()).fileno()]
                program = ["tests.forking", *map(str, descriptors), "always" if self.stays_warm else "in ticks"]
            return subprocess.Popen(
                [sys.executable, "-m", *program, *arguments],
                env=variables,
                cwd=ROOT,
                pass_fds=descriptors,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def run(self, *arguments: str, patience: float = 100.0, **environment: str) -> Outcome:
        """Run AutoFlow to its end."""
        process = self.start(*arguments, errors=subprocess.PIPE, **environment)
        try:
            answer, log = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            answer, log = process.communicate()
            pytest.fail(f"AutoFlow did not end by itself:\n{answer}{log}")
        return Outcome(process.returncode, answer + log, answer)

    def made(self, pattern: str) -> list[Path]:
        """List outputs, in the order of their names: what is made twice in a second has ``-2`` after the first's."""
        return sorted(self.outputs.glob(pattern), key=lambda path: (path.parent, path.stem, path.suffix))


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    log: str
    """All that it has written: to its standard output, then to its standard error."""
    answer: str
    """What it has written to its standard output."""

    def json(self) -> Any:
        """Read its standard output, which is nothing but an answer in JSON."""
        return answer_of(self.answer, code=self.code)


Typed = Callable[..., Outcome]
"""Does what a command line says, and variables of the environment that are given by name, in this process."""


@pytest.fixture
def deployment(tmp_path: Path, flowapi: FlowapiStandin) -> Deployment:
    return make_deployment(tmp_path, flowapi)


@pytest.fixture
def forked_warm_parents(deployment: Deployment, warm_parents: WarmParents) -> None:
    """Let AutoFlow be a process of its own whose warm parents are forks: it is not its start that is tested."""
    deployment.warm_parents = warm_parents


@pytest.fixture
def typed(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type a command, in this process: it is quicker."""

    def type_(*arguments: str, **environment: str) -> Outcome:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in {**deployment.environment, **environment}.items():
                patch.setenv(name, value)
            try:
                code = cli.main(arguments)
            except SystemExit as error:
                code = int(str(error.code))
        # a thread writes the log: what this command has said is not for the next one to find
        flush_log()
        written = capsys.readouterr()
        return Outcome(code, written.out + written.err, written.out)

    return type_


def make_deployment(tmp_path: Path, flowapi: FlowapiStandin) -> Deployment:
    """Make the directories of an installation, and name them in its environment."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOFLOW_", "FLOWAPI_"))}
    return Deployment(
        inputs,
        # a brace in a path is the user's right; papermill would take it for a parameter
        tmp_path / "out {puts}",
        {
            **inherited,
            "AUTOFLOW_INPUTS_DIR": str(inputs),
            "AUTOFLOW_OUTPUTS_DIR": str(tmp_path / "out {puts}"),
            "FLOWAPI_URL": flowapi.url,
            "FLOWAPI_TOKEN": flowapi.token(),
        },
    )
