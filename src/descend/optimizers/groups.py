"""Groups of parameters, each with a method of its own."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Self

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.graph.chance import mixed
from descend.kinds import KINDS, usual_kinds
from descend.optimizers.adamw import AdamW
from descend.optimizers.optimizer import Optimizer
from descend.scalars import Scalar
from descend.types import Loss, Params, State

Update = Callable[[Optimizer, Params, Params, State, Loss], tuple[Params, State]]
"""Makes a step of one method on its parameters."""

MOST_NAMED = 12
"""Parameters that a message names."""


@dataclass(frozen=True)
class ParameterGroup:
    """Some of the parameters, and the method that updates them.

    A parameter is in the group if it is of one of the kinds and fits one of the names. A group with neither takes the
    parameters that no other group takes, which may be none.

    Args:
        optimizer: the method. It takes its parameters for all there are: a norm over all parameters, say, is one over
            those of the group.
        kinds: one or more of `descend.kinds.KINDS`; None takes every kind.
        names: one or more patterns of names, as a shell has them (`blocks.0.*`, `*.bias`); None takes every name.

    Raises:
        ConfigurationError: no such kind, or a method that cannot stand in a group.
    """

    optimizer: Optimizer
    kinds: str | Sequence[str] | None = None
    names: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("kinds", "names"):
            value = getattr(self, name)
            listed = (value,) if isinstance(value, str) else None if value is None else tuple(value)
            if listed == ():
                raise ConfigurationError(f"A group has no {name} in its list; write some, or {name}: null for all.")
            object.__setattr__(self, name, listed)
        for kind in self.kinds or ():
            if kind not in KINDS:
                raise ConfigurationError(f"A group has the kind {kind!r}, but there are only {', '.join(KINDS)}.")
        method = type(self.optimizer).__name__
        if isinstance(self.optimizer, Groups):
            raise ConfigurationError("A group holds groups; put all of them side by side in one optimizer.")
        if self.optimizer.line_search:
            raise ConfigurationError(
                f"{method} cannot be the method of a group: it searches along a line for a point where the loss is "
                "lower, but the other groups move at the same time; use it for all parameters, or another one here."
            )

        if self.optimizer.needs_outputs:
            raise ConfigurationError(
                f"{method} cannot be the method of a group: it takes the curvature from the outputs of the whole "
                "network; use it for all parameters, or choose another method for this group."
            )

    @property
    def is_rest(self) -> bool:
        """Whether it takes the parameters that no other group takes."""
        return self.kinds is None and self.names is None

    def takes(self, name: str, kind: str) -> bool:
        """Tell whether a parameter is in the group; for groups that say which they take."""
        fits = self.names is None or any(fnmatchcase(name, pattern) for pattern in self.names)
        return fits and (self.kinds is None or kind in self.kinds)

    def __str__(self) -> str:
        wanted = [] if self.kinds is None else [f"of kind {' or '.join(self.kinds)}"]
        wanted += [] if self.names is None else [f"named {' or '.join(self.names)}"]
        return " and ".join(wanted)


def decay_of_weights_alone() -> dict[str, ParameterGroup]:
    """Return two groups of AdamW: biases, norms and other vectors without weight decay, and the rest with it."""
    return {
        "vectors": ParameterGroup(AdamW(weight_decay=0.0), kinds=("bias", "norm", "vector")),
        "rest": ParameterGroup(AdamW()),
    }


@dataclass(frozen=True)
class Groups(Optimizer):
    """Every group's parameters updated by the group's own method, all from the same point.

    Like the `param_groups` of torch.optim, but groups may differ in their method, too. By default AdamW decays weights
    alone, as is usual for transformers (Radford et al., "Improving language understanding by generative pre-training",
    2018, section 4.1: no decay of biases and gains).

    Args:
        lr: the learning rate of every group, > 0, in place of their own, which must then be alike; None leaves each
            group its own. A schedule multiplies all.
        groups: the groups by name.

    Raises:
        ConfigurationError: there is no group, or more than one takes the rest, or `lr` would replace different rates;
            by `init` and `suited`: a group or one of its patterns matches no parameter, or a parameter is in no group
            or in two.
    """

    lr: float | None = None  # type: ignore[assignment]
    groups: Mapping[str, ParameterGroup] = field(default_factory=decay_of_weights_alone)

    def __post_init__(self) -> None:
        rests = [name for name, group in self.groups.items() if group.is_rest]
        if not self.groups or len(rests) > 1:
            found = f"{' and '.join(rests)} have neither" if self.groups else "there is no group"
            raise ConfigurationError(
                f"Groups need kinds or names that say which parameters they take, of all but one, but {found}; "
                "give them some."
            )
        if self.lr is not None:
            check_number(self, "lr", above=0)
            self._take_rate(self.lr)
        object.__setattr__(self, "batchable", all(group.optimizer.batchable for group in self.groups.values()))
        object.__setattr__(self, "_division", None)

    def _take_rate(self, lr: float) -> None:
        """Give every group this learning rate."""
        rates = {name: group.optimizer.lr for name, group in self.groups.items()}
        if len(set(rates.values())) > 1:
            own = ", ".join(f"{name}: {rate}" for name, rate in rates.items())
            raise ConfigurationError(
                f"Groups.lr is {lr}, but it would replace rates of groups that differ ({own}); leave it null, and set "
                f"each group's own: optimizer.groups.{next(iter(rates))}.optimizer.lr."
            )
        same = {name: replace(g, optimizer=replace(g.optimizer, lr=lr)) for name, g in self.groups.items()}
        object.__setattr__(self, "groups", same)

    @property
    def rates(self) -> Scalar | dict[str, Scalar]:
        if self.lr is not None:
            return self.lr
        return {name: group.optimizer.lr for name, group in self.groups.items()}

    def scaled(self, factor: Scalar) -> Self:
        changed = self._with_methods({name: group.optimizer.scaled(factor) for name, group in self.groups.items()})
        object.__setattr__(changed, "lr", None if self.lr is None else self.lr * factor)
        return changed

    def _with_methods(self, methods: Mapping[str, Optimizer]) -> Self:
        """Return a copy whose groups of these names have these methods, its checks not run again."""
        changed, groups = copy.copy(self), dict(self.groups)
        for name, method in methods.items():
            groups[name] = copy.copy(groups[name])
            object.__setattr__(groups[name], "optimizer", method)
        object.__setattr__(changed, "groups", groups)
        return changed

    @property
    def seeds_itself(self) -> bool:
        return all(group.optimizer.seeds_itself for group in self.groups.values())

    @property
    def differentiates(self) -> int:
        return max(group.optimizer.differentiates for group in self.groups.values())

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, group in self.groups.items():
            for what, count in group.optimizer.evaluations(steps, state.get(name, {})).items():
                found[what] = found.get(what, 0) + count
        return found

    # Who is in which group

    def suited(self, params: Params, kinds: Mapping[str, str]) -> Self:
        division = divided(self.groups, params, kinds)
        found = self._with_methods(
            {
                name: self.groups[name].optimizer.suited(of_names(params, own), {key: kinds[key] for key in own})
                for name, own in division.items()
            }
        )
        object.__setattr__(found, "_division", division)
        return found

    def division(self, params: Params) -> dict[str, list[str]]:
        """Return the names of the parameters in each group that has any; of kinds by name and shape, if not `suited`.

        Raises:
            ConfigurationError: see `divided`.
        """
        known: dict[str, list[str]] | None = self._division  # type: ignore[attr-defined]
        return divided(self.groups, params, usual_kinds(params)) if known is None else known

    # Steps

    def init(self, params: Params) -> State:
        return self.begin(params, 0)

    def begin(self, params: Params, seed: int) -> State:
        return self.begin_each(params, seed, lambda member, own, seed: member.begin(own, seed))

    def begin_each(self, params: Params, seed: int, begin: Callable[[Optimizer, Params, int], State]) -> State:
        """Return the states of the groups, each from what begins a method on its parameters with a seed of its own."""
        division = self.division(params)
        seeds = {name: mixed(seed, i) if i else seed for i, name in enumerate(division)}
        methods = {name: self.groups[name].optimizer for name in division}
        return {name: begin(methods[name], of_names(params, own), seeds[name]) for name, own in division.items()}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        return self.update(params, gradients, state, loss, lambda member, *given: member.step(*given))

    def update(self, params: Params, gradients: Params, state: State, loss: Loss, make: Update) -> tuple[Params, State]:
        """Return the parameters and states after `make` has made a step of each group.

        A group's loss is a function of its own parameters; those of the others stay where they are at this step.
        """
        new: dict[str, Any] = {}
        after: dict[str, State] = {}
        for name, names in self.division(params).items():
            method, own, given = self.groups[name].optimizer, of_names(params, names), of_names(gradients, names)
            moved, after[name] = make(method, own, given, state[name], lambda own: loss(params | own))
            new |= moved
        return of_names(new, params), after

    @property
    def has_other_points(self) -> bool:
        return any(group.optimizer.has_other_points for group in self.groups.values())

    def reported(self, params: Params, state: State) -> Params:
        return self.found(params, state, lambda member, own, state: member.reported(own, state))

    def found(self, params: Params, state: State, report: Callable[[Optimizer, Params, State], Params]) -> Params:
        """Return the points that `report` finds of each group's method, parameters and state."""
        found: dict[str, Any] = {}
        for name, names in self.division(params).items():
            found |= report(self.groups[name].optimizer, of_names(params, names), state[name])
        return of_names(found, params)


def of_names(values: Params, names: Sequence[str] | Params) -> Params:
    """Return the values of these names, in their order."""
    return {name: values[name] for name in names}


def divided(groups: Mapping[str, ParameterGroup], params: Params, kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the parameters in each group, in the order of the groups; a rest that has none is left out.

    Raises:
        ConfigurationError: a group or one of its patterns matches no parameter; a parameter is in no group or in two.
    """
    found: dict[str, list[str]] = {name: [] for name in groups}
    rest = next((name for name, group in groups.items() if group.is_rest), None)
    for name in params:
        takers = [key for key, group in groups.items() if not group.is_rest and group.takes(name, kinds[name])]
        if len(takers) > 1:
            raise ConfigurationError(
                f"The parameter {name} ({kinds[name]}) is in the groups {' and '.join(takers)}, but one method moves "
                "it; make their kinds or names narrower."
            )
        if not takers and rest is None:
            raise ConfigurationError(
                f"The parameter {name} ({kinds[name]}) is in no group; add one without kinds and names: it takes the "
                "rest."
            )
        found[takers[0] if takers else str(rest)].append(name)
    for key, group in groups.items():
        each = [replace(group, names=pattern) for pattern in group.names] if group.names else [group]
        for wanted in each:
            if not group.is_rest and not any(wanted.takes(name, kinds[name]) for name in params):
                raise ConfigurationError(
                    f"The group {key} takes parameters {wanted}, but there is none; they are {listed(kinds)}."
                )
    return {name: names for name, names in found.items() if names}


def listed(kinds: Mapping[str, str]) -> str:
    """Return the first parameters with their kinds, in words."""
    first = [f"{name} ({kind})" for name, kind in list(kinds.items())[:MOST_NAMED]]
    more = [f"and {len(kinds) - MOST_NAMED} more"] if len(kinds) > MOST_NAMED else []
    return ", ".join([*first, *more])
