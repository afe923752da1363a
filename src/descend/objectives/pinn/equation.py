"""The contract of a physics-informed network: an equation, its conditions, its domain. The losses follow from them."""

import itertools
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number, check_value
from descend.derivatives.partials import Field
from descend.errors import ConfigurationError
from descend.objectives.networks import MLP, Network
from descend.objectives.objective import Objective
from descend.objectives.pinn.solution import MODES, Solution
from descend.types import Batch, Drawing, Losses, Params

GRID_POINTS = 4096


@dataclass(frozen=True)
class Equation(Objective):
    """Mean squares of the residuals of a differential equation (`res`) and of its conditions, solved by a network.

    Raissi, Perdikaris & Karniadakis, "Physics-informed neural networks", J. Comput. Phys. 378 (2019), section 3.1. A
    subclass names variables and domain, and gives `residual`, `conditions` and, where one is known, `exact`.

    Args:
        network: maps points, scaled to [−1, 1] along each axis, to the unknowns.
        points: collocation points inside the domain, a Latin hypercube that each run draws once (McKay, Beckman &
            Conover, Technometrics 21, 1979): every step sees the same function, as a line search needs.
        edge_points: points along each free axis of a face of the domain, where conditions are imposed.
        weights: factor ≥ 0 of each loss by name; 1 for losses that are not named.
        mode: how partial derivatives are taken: `auto`, `nested` or `taylor` (see `Solution`).

    Attributes:
        variables: a letter for each coordinate.
        domain: lowest and highest value of each coordinate.
        unknowns: the names of the functions to solve for.
        grid: a regular grid over the domain, [n, d]: the whole data, on which errors are measured.
        bounds: the domain as a tensor, [2, d].
    """

    variables: ClassVar[str]
    domain: ClassVar[tuple[tuple[float, float], ...]]
    unknowns: ClassVar[tuple[str, ...]] = ("u",)
    grid: ClassVar[Tensor]
    bounds: ClassVar[Tensor]

    network: Network = field(default_factory=lambda: MLP((20, 20, 20), torch.tanh))
    points: int = 256
    edge_points: int = 64
    weights: dict[str, float] = field(default_factory=dict)
    mode: str = "auto"

    def __post_init__(self) -> None:
        check_number(self, "points", at_least=1)
        check_number(self, "edge_points", at_least=2)
        for name, weight in self.weights.items():
            check_value(f"{type(self).__name__}.weights[{name!r}]", weight, at_least=0)
        if self.mode not in MODES:
            raise ConfigurationError(
                f"{type(self).__name__}.mode is {self.mode!r}, but it must be one of {', '.join(MODES)}."
            )
        bounds = torch.tensor(self.domain, dtype=torch.float64, device="cpu").T
        object.__setattr__(self, "bounds", bounds)
        object.__setattr__(self, "grid", lattice(self.axes()))

    @abstractmethod
    def residual(self, u: Solution, points: Tensor) -> Tensor:
        """Return the residuals at points inside the domain, [n, d]: shape [n], or [n, k] for k equations."""

    def conditions(self, u: Solution) -> dict[str, Tensor]:
        """Return the residuals of the conditions on the edges of the domain, by name, each of any shape."""
        return {}

    def exact(self, points: Tensor) -> Tensor | None:
        """Return the exact unknowns at points [n, d], shape [n] or [n, unknowns]; None where they are not known."""
        return None

    def transform(self, points: Tensor, outputs: Tensor) -> Tensor:
        """Return the unknowns [n, unknowns], made of the network's outputs; an override can build conditions in."""
        return outputs

    def face(self, **fixed: float | tuple[float, float]) -> Tensor:
        """Return evenly spread points with some variables fixed, [n, d]: `face(t=0.0)`, or `face(x=(-1.0, 1.0))`.

        A pair gives the faces at both values; where all variables are fixed, a face is one point.
        """
        unknown = set(fixed) - set(self.variables)
        if unknown:
            raise ConfigurationError(
                f"A face of {type(self).__name__} was asked for at {', '.join(sorted(unknown))}, but its variables are "
                f"{', '.join(self.variables)}: use those names."
            )
        axes = []
        for variable, domain in zip(self.variables, self.domain, strict=True):
            ends = fixed.get(variable, domain)
            low, high = ends if isinstance(ends, tuple) else (ends, ends)
            count = self.edge_points if variable not in fixed else 2 if isinstance(ends, tuple) else 1
            axes.append(torch.linspace(low, high, count, dtype=self.grid.dtype, device=self.grid.device))
        return lattice(axes)

    def axes(self) -> list[Tensor]:
        """Return the coordinates of the grid along each axis, float64."""
        count = round(GRID_POINTS ** (1 / len(self.domain)))
        return [torch.linspace(low, high, count, dtype=torch.float64, device="cpu") for low, high in self.domain]

    def candidate(self, params: Params) -> Field:
        """Return the unknowns as a function of points."""
        low, high = self.bounds

        def unknowns(points: Tensor) -> Tensor:
            scaled = (2 * points - (low + high)) / (high - low)
            return self.transform(points, self.network(params, scaled))

        return unknowns

    @property
    def batch_size(self) -> int:
        return self.points

    def init(self, generator: torch.Generator) -> Params:
        return self.network.init(generator, (len(self.domain),), len(self.unknowns))

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        yield from (epoch[0] for epoch in self.epochs(generator))

    def epochs(self, generator: torch.Generator) -> Iterator[Batch]:
        columns = []
        for low, high in self.domain:
            cells = torch.randperm(self.points, generator=generator, device=generator.device)
            within = torch.rand(self.points, generator=generator, dtype=torch.float64, device=generator.device)
            columns.append(low + (high - low) * (cells + within) / self.points)
        yield from itertools.repeat(torch.stack(columns, 1)[None])

    def losses(self, params: Params, batch: Batch) -> Losses:
        points = self.grid if batch is None else batch.to(self.grid)
        u = Solution(self.candidate(params), self.variables, self.unknowns, self.mode)
        residuals = {"res": self.residual(u, points), **self.conditions(u)}
        unknown = [name for name in self.weights if name not in residuals]
        if unknown:
            raise ConfigurationError(
                f"The weights of {type(self).__name__} name {', '.join(map(repr, unknown))}, but its losses are "
                f"{', '.join(map(repr, residuals))}: use those names."
            )
        return {name: self.weights.get(name, 1.0) * x.square().mean() for name, x in residuals.items()}

    def evaluate(self, params: Params) -> dict[str, Tensor]:
        with torch.no_grad():
            exact = self.exact(self.grid)
            if exact is None:
                return {}
            found = self.candidate(params)(self.grid)
            error = torch.linalg.vector_norm(found - exact.reshape(found.shape))
            return {"relative_l2": error / torch.linalg.vector_norm(exact)}

    def drawing(self, params: Params) -> Drawing | None:
        if len(self.domain) > 2:
            return None
        axes = self.axes()
        with torch.no_grad():
            exact, found = self.exact(self.grid), self.candidate(params)(self.grid)
        shape = [len(axis) for axis in axes]

        def named(values: Tensor) -> dict[str, Tensor]:
            columns = values.reshape(found.shape).unbind(1)
            return {name: x.reshape(shape) for name, x in zip(self.unknowns, columns, strict=True)}

        return Drawing(
            dict(zip(self.variables, axes, strict=True)), named(found), {} if exact is None else named(exact)
        )


def lattice(axes: list[Tensor]) -> Tensor:
    """Return all points whose coordinates are taken from the axes, [n, d], the last coordinate changing fastest."""
    return torch.stack(torch.meshgrid(axes, indexing="ij"), -1).reshape(-1, len(axes))
