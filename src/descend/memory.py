"""How much memory can still be allocated, and when the system gets memory back that nothing uses any more."""

import ctypes
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import torch

from descend import devices


class Controller(NamedTuple):
    """Where a version of control groups keeps the limit of a group, its use, and its cache that can be given up."""

    mount: str
    limit: str
    used: str
    cache: str


TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Two parameters of glibc, mallopt(3): how much freed memory it keeps at the end of its heap, and how many pieces of
memory it may get from the system one by one."""

VERSION_2 = Controller("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
VERSION_1 = Controller("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_bytes(device: torch.device, root: Path = Path("/")) -> int:
    """Return the bytes that can still be allocated on `device`.

    On the CPU that is what the kernel calls available, or less where a control group (a container, a Slurm job) allows
    less: of each group that this process is in, the limit less what is used, the files' cache not counted, because the
    kernel gives it up. What this process has freed is returned first. On systems that do not tell, it is all of the
    machine's memory.

    Args:
        root: where `proc` and `sys` are.
    """
    if devices.is_gpu(device):
        return devices.free_on_gpu(device)
    return_freed()
    meminfo = root / "proc" / "meminfo"
    if not meminfo.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    return max(0, min([int(fields["MemAvailable"].split()[0]) * 1024, *left_in_groups(root)]))


def left_in_groups(root: Path) -> Iterator[int]:
    """Yield what each control group with a limit still allows; the groups above one count as well."""
    for controller, group in groups_of_this_process(root):
        mount = root / controller.mount
        for place in (group, *group.parents):
            left = left_in(mount / place.relative_to("/"), controller)
            if left is not None:
                yield left


def groups_of_this_process(root: Path) -> Iterator[tuple[Controller, PurePosixPath]]:
    """Yield the groups that limit this process's memory; in a container the path may be that on the host."""
    listed = root / "proc" / "self" / "cgroup"
    for line in listed.read_text().splitlines() if listed.exists() else ():
        number, controllers, path = line.split(":", 2)
        if not path.startswith("/"):
            continue
        if number == "0" and not controllers:
            yield VERSION_2, PurePosixPath(path)
        elif "memory" in controllers.split(","):
            yield VERSION_1, PurePosixPath(path)


def left_in(folder: Path, controller: Controller) -> int | None:
    """Return what one group still allows; None where it has no limit, or is not there."""
    try:
        limit = int((folder / controller.limit).read_text())  # `max` where there is none
        used = int((folder / controller.used).read_text())
    except (OSError, ValueError):
        return None
    return limit - used + min(used, cache_in(folder / "memory.stat", controller.cache))


def cache_in(stat: Path, name: str) -> int:
    """Return the bytes of files' cache that a group's statistics name; 0 where there are none."""
    if not stat.exists():
        return 0
    return int(dict(line.split(" ", 1) for line in stat.read_text().splitlines()).get(name, 0))


@cache
def keep_freed() -> None:
    """Let this process keep the memory that it frees, and use it again, until `return_freed`.

    glibc returns each large piece to the system as soon as it is freed, and gets the next one page by page, filled with
    zeros: that took a quarter of the time of four stacked CNNs (`benchmarks/kept_memory.py`). Other C libraries are
    left as they are.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MMAP_MAX, 0)
        library.mallopt(TRIM_THRESHOLD, -1)


def return_freed() -> None:
    """Return to the system all memory that was freed."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
