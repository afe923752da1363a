"""The result of a run, as one object."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from descend.atomic import whole
from descend.records import Records, frame


@dataclass
class Result:
    """How a run ended and the numbers it ended with. The field names are those of result.json.

    Attributes:
        status: `converged`, `finished`, `stopped` (by a sweep that halves), `diverged`, `interrupted` or `failed`;
            `reason` says why in words.
        steps: updates made.
        value: the total at the end, over the whole (training) data.
        best_value: the lowest total seen (of a batch, where the objective draws batches).
        losses: the raw losses at the end, by name.
        gradient_norm: ‖gradient of the total‖₂ at the end.
        evaluations: how often `function`, `gradient`, `hvp` and `hessian` were evaluated by the optimization.
        seconds: time in the loop alone.
        parameters: the final parameters by name: as numbers where they are at most 32 together, else as tensors on the
            CPU, those of a module together with its buffers: its `load_state_dict` takes them. In result.json, and in
            the results of a sweep, many are None; the checkpoint has them: `descend.load`.
        metrics: test metrics by name.
        values: named numbers the run was asked for.
        provenance: version, commit, torch, device, seed, command line.
        blocks: the records as they came; `records` is the same as a frame.
    """

    status: str
    reason: str
    steps: int
    value: float
    best_value: float
    losses: dict[str, float]
    gradient_norm: float
    evaluations: dict[str, int]
    seconds: float
    parameters: dict[str, Any] | None
    metrics: dict[str, float]
    values: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    blocks: list[Records] = field(default_factory=list, repr=False)

    @property
    def records(self) -> pl.DataFrame:
        """Every recorded number in long form: run, step, name, value."""
        return frame(self.blocks)

    @property
    def many_parameters(self) -> bool:
        """Whether the parameters are tensors, too many to read."""
        return any(isinstance(x, Tensor) for x in (self.parameters or {}).values())

    def json(self, indent: int | None = None) -> str:
        """Return the text of result.json; numbers that are not finite become null, JSON having no name for them."""
        fields = {name: value for name, value in vars(self).items() if name != "blocks"}
        if self.many_parameters:
            fields["parameters"] = None
        try:
            return json.dumps(fields, indent=indent, ensure_ascii=False, allow_nan=False)
        except ValueError:
            return json.dumps(_finite(fields), indent=indent, ensure_ascii=False, allow_nan=False)

    def write(self, folder: Path) -> None:
        """Write `folder/result.json` atomically: readers see all of it or none."""
        with whole(folder / "result.json") as file:
            file.write(self.json(indent=2).encode())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
