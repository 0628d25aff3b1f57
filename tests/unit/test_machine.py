# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a machine, or a container on it, says of how busy it is, whatever of that can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoflow.machine import Machine, Reading

TWO_CORES = frozenset({0, 1})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "proc/meminfo", "MemTotal: 8000000 kB\nMemFree: 1 kB\nMemAvailable: 5000000 kB\n")
    write(tmp_path, "proc/pressure/cpu", "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n")
    write(tmp_path, "proc/pressure/memory", "some avg10=0.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00\n")
    times(tmp_path, idle=0)
    return tmp_path


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def times(root: Path, idle: int, seconds: int = 0) -> None:
    """Let so many seconds have passed, of which each of the two first cores was idle for some."""
    line = f"{(seconds - idle) * 100} 0 0 {idle * 100} 0 0 0 0 999 999"
    write(root, "proc/stat", f"cpu 1 2 3 4\ncpu0 {line}\ncpu1 {line}\ncpu2 5 5 5 5 5 5 5 5\nintr 7\n")


def container(root: Path, **files: str) -> None:
    write(root, "proc/self/cgroup", "0::/box/inner\n")
    write(root, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    write(root, "sys/fs/cgroup/box/inner/memory.max", "max\n")
    for name, text in files.items():
        write(root, f"sys/fs/cgroup/box/{name.replace('_', '.', 1)}", text)


def test_cores_are_busy_as_far_as_they_were_not_idle_since_the_last_look(root: Path) -> None:
    machine = Machine(root, TWO_CORES)
    assert machine.read() == Reading(2, None, 12.5, 8192, 5120, 0.25, is_first=True)
    times(root, idle=1, seconds=4)
    assert machine.read().busy == 1.5


def test_looks_that_follow_each_other_at_once_measure_over_the_same_time(root: Path) -> None:
    machine = Machine(root, TWO_CORES)
    machine.read()
    times(root, idle=1, seconds=4)
    assert [machine.read().busy, machine.read().busy] == [1.5, 1.5]


def test_a_container_has_what_the_cgroups_above_it_leave_it(root: Path) -> None:
    container(
        root,
        cpu_max="150000 100000\n",
        cpu_stat="usage_usec 0\n",
        memory_max="2000000000\n",
        memory_high="max\n",
        memory_current="1500000000\n",
        memory_stat="anon 1\ninactive_file 300000000\n",
    )
    machine = Machine(root, TWO_CORES)
    machine.read()
    times(root, idle=4, seconds=4)
    write(root, "sys/fs/cgroup/box/cpu.stat", "usage_usec 5000000\nuser_usec 1\n")
    assert machine.read() == Reading(1.5, 1.25, 12.5, 2000, 800, 0.25)


def test_what_others_take_of_the_cores_is_not_there_for_a_container(root: Path) -> None:
    container(root, cpu_max="150000 100000\n", cpu_stat="usage_usec 0\n")
    machine = Machine(root, TWO_CORES)
    machine.read()
    times(root, idle=1, seconds=4)
    assert machine.read().busy == 1.0


@pytest.mark.parametrize("trees", [("cpu,cpuacct", "cpu,cpuacct"), ("cpu", "cpuacct")], ids="+".join)
@pytest.mark.parametrize("path", ["box", ""], ids=["as the host sees it", "as the container does"])
def test_limits_of_version_1_count_too(root: Path, trees: tuple[str, str], path: str) -> None:
    cpu, accounts = trees
    write(root, "proc/self/cgroup", f"7:memory:/box\n3:{cpu}:/box\n2:{accounts}:/box\n1:name=systemd:/box\n")
    for name, text in {
        f"{cpu}/{path}/cpu.cfs_quota_us": "150000\n",
        f"{cpu}/{path}/cpu.cfs_period_us": "100000\n",
        f"{accounts}/{path}/cpuacct.usage": "0\n",
        f"memory/{path}/memory.limit_in_bytes": "2000000000\n",
        f"memory/{path}/memory.usage_in_bytes": "1500000000\n",
        f"memory/{path}/memory.stat": "inactive_file 1\ntotal_inactive_file 300000000\n",
    }.items():
        write(root, f"sys/fs/cgroup/{name}", text)
    machine = Machine(root, TWO_CORES)
    machine.read()
    times(root, idle=4, seconds=4)
    write(root, f"sys/fs/cgroup/{accounts}/{path}/cpuacct.usage", "5000000000\n")
    assert machine.read() == Reading(1.5, 1.25, 12.5, 2000, 800, 0.25)


def test_a_cgroup_of_version_1_without_limits_changes_nothing(root: Path) -> None:
    write(root, "proc/self/cgroup", "7:memory:/box\n3:cpu:/box\n0::/\n")
    write(root, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n")
    write(root, "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n")
    write(root, "sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
    assert Machine(root, TWO_CORES).read() == Reading(2, None, 12.5, 8192, 5120, 0.25, is_first=True)


def test_memory_that_a_cgroup_has_used_up_is_none_that_is_free(root: Path) -> None:
    container(
        root,
        memory_max="max\n",
        memory_high="1000000000\n",
        memory_current="1200000000\n",
        memory_stat="inactive_file 0\n",
    )
    assert (Machine(root, TWO_CORES).read().memory, Machine(root, TWO_CORES).read().free) == (1000, 0)


@pytest.mark.parametrize("text", ["", "nonsense\n", "cpu0 a b c\n", "cpu0\ncpu1\n"])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    for name in ("proc/stat", "proc/meminfo", "proc/pressure/cpu", "proc/self/cgroup", "sys/fs/cgroup/cpu.max"):
        write(tmp_path, name, text)
    machine = Machine(tmp_path, TWO_CORES)
    assert [machine.read(), machine.read()] == [Reading(2)] * 2


def test_a_machine_without_any_of_it_is_known_by_its_cores(tmp_path: Path) -> None:
    assert Machine(tmp_path, TWO_CORES).read() == Reading(2)
