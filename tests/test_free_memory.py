"""How much memory is free, on machines whose files are written here as Linux writes them; and what a process keeps."""

import os
from pathlib import Path

import pytest
import torch
from fresh import in_a_fresh_process

from descend.memory import free_bytes
from descend.sweeps.settings import Settings

CPU = torch.device("cpu")
GIB = 2**30
MEMINFO = (
    "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\nHugePages_Total:       0\n"
)
ENDLESS = "9223372036854771712\n"  # what version 1 says where there is no limit
V1 = "9:name=systemd:/\n4:memory:/job\n1:cpu:/\n0::/\n"


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """A machine with 8 GiB available, its control groups as given."""
    every = {"proc/meminfo": MEMINFO, "proc/self/cgroup": cgroup}
    every |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in every.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(group: str, limit: str, used: int, cache: int = 0) -> dict[str, str]:
    stat = f"anon {used - cache}\nfile {cache}\ninactive_file {cache}\n"
    return {f"{group}memory.max": f"{limit}\n", f"{group}memory.current": f"{used}\n", f"{group}memory.stat": stat}


def v1(group: str, limit: str, used: int, cache: int = 0) -> dict[str, str]:
    files = {"limit_in_bytes": limit, "usage_in_bytes": str(used)}
    stat = f"cache {cache}\nrss {used - cache}\ntotal_inactive_file {cache}\n"
    return {f"memory/{group}memory.{name}": text for name, text in files.items()} | {f"memory/{group}memory.stat": stat}


@pytest.mark.parametrize(
    ("cgroup", "files", "gibibytes"),
    [
        ("", {}, 8),
        ("0::/\n", {}, 8),
        ("0::/job\n", v2("job/", "max", 3 * GIB), 8),
        ("0::/job\n", v2("job/", str(4 * GIB), 3 * GIB), 1),
        ("0::/job\n", v2("job/", str(4 * GIB), 3 * GIB, cache=2 * GIB), 3),
        ("0::/job\n", v2("job/", str(64 * GIB), GIB), 8),
        ("0::/a/job\n", v2("a/job/", "max", GIB) | v2("a/", str(3 * GIB), GIB), 2),
        ("0::/the/path/on/the/host\n", v2("", str(2 * GIB), GIB), 1),
        ("0::/job\n", v2("job/", str(4 * GIB), 5 * GIB), 0),
        (V1, v1("job/", ENDLESS, GIB), 8),
        (V1, v1("job/", str(4 * GIB), 3 * GIB), 1),
        (V1, v1("job/", str(4 * GIB), 3 * GIB, cache=GIB), 2),
        (V1, v1("", str(2 * GIB), GIB), 1),
        ("5:memory,cpu:/job\n", v1("job/", str(4 * GIB), 3 * GIB), 1),
        ("0::/../other\n", v2("", str(2 * GIB), GIB), 1),
    ],
)
def test_a_control_group_allows_what_is_left_of_its_limit(
    cgroup: str, files: dict[str, str], gibibytes: int, tmp_path: Path
) -> None:
    assert free_bytes(CPU, machine(tmp_path, cgroup, **files)) == gibibytes * GIB


def test_a_group_without_statistics_has_a_limit_all_the_same(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/job\n", **v2("job/", str(4 * GIB), 3 * GIB))
    (root / "sys/fs/cgroup/job/memory.stat").unlink()
    assert free_bytes(CPU, root) == GIB


def test_this_machine_has_some_and_no_more_than_there_is() -> None:
    assert 2**20 < free_bytes(CPU) <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_system_that_does_not_tell_has_all_its_memory(tmp_path: Path) -> None:
    assert free_bytes(CPU, tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_sweep_takes_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.sweeps.settings.free_bytes", lambda device: 10 if device == CPU else 0)
    assert Settings().budget(CPU) == 5
    assert Settings(memory=7).budget(CPU) == 7


def test_large_memory_is_used_again_and_given_back() -> None:
    """A run keeps what it frees, where this machine's `malloc` can: the same tensor again costs no new pages."""
    code = """
import platform, resource, torch
from descend.memory import return_freed, keep_freed

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def again():
    before = pages()
    for _ in range(5):
        torch.ones(2**25)
    return pages() - before

first = again()
keep_freed()
kept, held = min(again() for _ in range(5)), resident()  # the first ones find holes that are too small by a few bytes
return_freed()
print(platform.libc_ver()[0], first, kept, held - resident())
"""
    library, first, kept, returned = in_a_fresh_process(code).split()
    if library != "glibc":
        pytest.skip("only glibc is told to keep what is freed")
    assert int(first) > 5 * 2**27 / (2**21 + 1)  # pages have 4 KiB to 2 MiB
    assert int(kept) < int(first) / 10
    assert int(returned) > 2**26
