# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Certificates of a cluster, the programs that use them, and how AutoFlow is told of workers."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from autoflow.clock import utc_now
from autoflow.cluster import WorkerOptions, lock_directory, make_certificates, scheduler_command, worker_command
from autoflow.cluster.programs import worker_instance
from autoflow.cluster.protocol import differences
from autoflow.errors import AutoflowError, SettingsError
from autoflow.settings import load_settings


def test_certificates_are_of_one_authority_whose_key_is_not_kept(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "new", utc_now())
    assert len(files) == 7
    authority = x509.load_pem_x509_certificate(files[0].read_bytes())
    for role in ("daemon", "scheduler", "worker"):
        issued = x509.load_pem_x509_certificate((tmp_path / "new" / f"{role}.pem").read_bytes())
        issued.verify_directly_issued_by(authority)
        key = tmp_path / "new" / f"{role}-key.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not (tmp_path / "new" / "ca-key.pem").exists()


def test_certificates_that_are_there_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "worker.pem").write_text("mine")
    with pytest.raises(FileExistsError):
        make_certificates(tmp_path, utc_now())
    assert [path.name for path in tmp_path.iterdir()] == ["worker.pem"]


def test_programs_are_told_to_listen_where_asked_and_to_encrypt(tmp_path: Path) -> None:
    make_certificates(tmp_path, utc_now())
    worker = WorkerOptions("tls://192.0.2.1:8786", tmp_path, tmp_path / "w", "192.0.2.2", 3, {"gpu": 1})
    scheduler = " ".join(scheduler_command(tmp_path, "192.0.2.1", 8786))
    started = " ".join(worker_command(worker))
    assert "--host 192.0.2.1" in scheduler
    assert "--protocol tls" in scheduler
    assert "--host 192.0.2.2" in started
    assert "--nthreads 3 --resources autoflow-1=3 gpu=1" in started
    for command, role in ((scheduler, "scheduler"), (started, "worker")):
        assert f"--tls-cert {tmp_path}/{role}.pem" in command
        assert "--dashboard-address 127.0.0.1:0" in command


def test_a_certificate_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AutoflowError, match=r"ca\.pem is not there; `autoflow cluster certificates"):
        scheduler_command(tmp_path, None, 8786)


def test_two_workers_have_two_directories(tmp_path: Path) -> None:
    lock_directory(tmp_path / "w")
    assert worker_instance(tmp_path / "a" / "w") != worker_instance(tmp_path / "b" / "w")
    with pytest.raises(AutoflowError, match="another worker has it"):
        lock_directory(tmp_path / "w")


def test_versions_that_differ_are_told() -> None:
    assert differences({"papermill": "2.7"}, {"papermill": "2.7", "more": "1"}) == ""
    assert differences({"papermill": "2.7"}, {"papermill": "2.6"}) == "papermill 2.6 (here 2.7)"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"AUTOFLOW_WORKERS": "tcp://host:8786"}, "not encrypted; expected one such as tls://host:8786"),
        ({"AUTOFLOW_WORKERS": "host"}, "AUTOFLOW_WORKERS: found 'host', expected the address of a scheduler"),
        ({"AUTOFLOW_WORKERS": "tls://host:8786"}, "needs AUTOFLOW_WORKERS_CERTIFICATES"),
        ({"AUTOFLOW_WORKERS": "tls://host:8786", "AUTOFLOW_WORKERS_CERTIFICATES": "/nowhere"}, "ca.pem is not there"),
        ({"AUTOFLOW_WORKERS": "tls://host:8786", "AUTOFLOW_WORKERS_FALLBACK": "yes"}, "found 'yes', expected here"),
        ({"AUTOFLOW_WORKERS": "tls://host:8786", "AUTOFLOW_WORKERS_LEASE": "1s"}, "expected between 5s and 1h"),
    ],
)
def test_what_is_wrong_with_the_address_of_workers_is_told(
    tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    environment = {
        "AUTOFLOW_INPUTS_DIR": str(tmp_path),
        "AUTOFLOW_OUTPUTS_DIR": str(tmp_path),
        "FLOWAPI_URL": "http://127.0.0.1:9",
    }
    with pytest.raises(SettingsError) as error:
        load_settings({**environment, **variables})
    assert told in str(error.value)


def test_workers_are_read_from_the_environment(tmp_path: Path) -> None:
    make_certificates(tmp_path / "certificates", utc_now())
    settings = load_settings(
        {
            "AUTOFLOW_INPUTS_DIR": str(tmp_path),
            "AUTOFLOW_OUTPUTS_DIR": str(tmp_path),
            "FLOWAPI_URL": "http://127.0.0.1:9",
            "AUTOFLOW_WORKERS": "tls://[::1]:8786",
            "AUTOFLOW_WORKERS_CERTIFICATES": str(tmp_path / "certificates"),
        }
    )
    assert settings.workers is not None
    assert (settings.workers.address, settings.workers.lease, settings.workers.falls_back) == (
        "tls://[::1]:8786",
        60.0,
        False,
    )
