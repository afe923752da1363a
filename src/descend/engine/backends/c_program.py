"""A small step over many runs as one compiled loop, all numbers of a run in registers.

The runs are independent, so that the loop over steps may stand inside the one over runs: what a step hands to the next
never leaves the processor, and no Python runs between steps. Numbers that are the same for all runs are computed once
for each step. The step is written in C, entry by entry, and compiled for this processor in a third of a second.
"""

import ctypes
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.engine.backends.source import KernelSource, KernelStep
from descend.errors import ConfigurationError

# Fewer runs than this are not worth a second thread.
RUNS_OF_A_THREAD = 2048

# Nothing is contracted or reassociated, so that a run comes out as it does alone.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")


class NoCompiler(ConfigurationError):
    """This machine has no C compiler."""


class CProgram:
    """A step of many runs as a compiled loop over any number of steps.

    Raises:
        Inseparable: the step is more than arithmetic between entries.
        NoCompiler: there is none that works.
    """

    def __init__(self, step: KernelStep) -> None:
        self._lanes, outputs = step.lanes, step.outputs
        self._given = list(zip(step.inputs, step.differs, strict=True))
        self._carried = self._given[step.numbers :]
        self._recorded = [outputs[i] for i in step.recorded]
        self._watched = [outputs[i].dtype for i in step.watched]
        self._call = compiled("\n".join(KernelSource(step).lines()))
        self._others = ThreadPoolExecutor()

    def advance(
        self, inputs: Sequence[Tensor], steps: int, kept: Sequence[bool], runs: int, threads: int
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]:
        """Make `steps` steps of `runs` runs from flat inputs, whose run axis is the last.

        Args:
            kept: for each step, whether it is recorded.
            threads: how many may be used.

        Returns:
            The carry after them; what was recorded of k steps, [k, …, runs] each; the lowest values watched, [runs];
            and whether the first of them was always finite, [runs], if any is watched.
        """
        sizes = [x.numel * (runs if differs else 1) for x, differs in self._given]
        if [x.numel() for x in inputs] != sizes:
            raise ValueError(f"A kernel of {runs} runs was given tensors of other sizes than it reads.")
        rows = sum(kept)
        carry = [empty((*x.shape, runs) if differs else x.shape, x.dtype) for x, differs in self._carried]
        recorded = [empty((rows, *x.shape, runs), x.dtype) for x in self._recorded]
        lowest = [empty((runs,), dtype) for dtype in self._watched]
        finite = empty((runs,), torch.bool)
        whole = [x.contiguous() for x in inputs]
        pointers = addresses(whole), addresses([*carry, *lowest, finite]), addresses(recorded)
        parts = max(1, min(threads, runs // RUNS_OF_A_THREAD))
        bounds = [runs * i // parts // self._lanes * self._lanes for i in range(parts)] + [runs]
        calls = [partial(self._call, runs, *part, steps, bytes(kept), *pointers) for part in pairwise(bounds)]
        others = [self._others.submit(call) for call in calls[1:]]
        calls[0]()
        for other in others:
            other.result()
        return carry, recorded, lowest, finite


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return memory to be written; NumPy asks for it in huge pages, whose first touch takes a quarter of the time."""
    return torch.from_numpy(np.empty(tuple(shape), np.dtype(str(dtype).removeprefix("torch."))))


def addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    """Return where tensors lie."""
    return (ctypes.c_void_p * len(tensors))(*[x.data_ptr() for x in tensors])


def compiled(source: str) -> Any:
    """Return the function `advance` of a C source.

    Raises:
        NoCompiler: there is none that works.
    """
    with tempfile.TemporaryDirectory() as folder:
        text, library = Path(folder, "step.c"), Path(folder, "step.so")
        text.write_text(source, encoding="ascii")
        command = [*shlex.split(environ.get("CC", "cc")), *FLAGS, "-o", str(library), str(text), "-lm"]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoCompiler(
                f"compile is true, but {command[0]} cannot compile a C program here ({error}); install a C compiler, "
                "name it in the environment variable CC if its name is another, or set compile=false."
            ) from error
        call = ctypes.CDLL(str(library)).advance
    number, pointers = ctypes.c_int64, ctypes.POINTER(ctypes.c_void_p)
    call.argtypes = [number, number, number, number, ctypes.c_char_p, pointers, pointers, pointers]
    call.restype = None
    return call
