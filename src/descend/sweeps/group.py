"""From jobs to groups that run as one program: jobs of one structure, which differ in numbers only."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from descend.aggregators.aggregator import Aggregator
from descend.engine.experiment import Experiment
from descend.engine.numbers import Leaf, leaves, with_leaves
from descend.engine.sameness import same
from descend.errors import ConfigurationError
from descend.metrics.metric import Metric
from descend.objectives.objective import Objective
from descend.optimizers.optimizer import Optimizer
from descend.sweeps.job import Group, Job

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
"""Numbers as Hydra's grammar writes them, too: read so, they take a hundredth of its time."""

Build = Callable[[Sequence[str]], Experiment]
"""Composes overrides and builds their experiment."""


@dataclasses.dataclass(frozen=True)
class SweptTarget:
    """What a swept key sets in an experiment.

    Attributes:
        leaves: the numbers it sets, and for each its place in the list where the value is one.
        seed: whether it is the seed.
        start: the field of the objective that it sets and that decides the start alone.
    """

    leaves: Mapping[Leaf, int | None] = dataclasses.field(default_factory=dict)
    seed: bool = False
    start: str | None = None


def groups(jobs: Sequence[Job], build: Build) -> list[Group]:
    """Return the jobs in groups, in the order of their first jobs.

    No experiment is built for each job: one is for each structure, and one more for each swept key, to see what
    it sets. A number that is exactly 0 counts as structure, because methods leave out what is switched off.

    Raises:
        ConfigurationError: a job's configuration is wrong; the sentence names its overrides.
    """
    values = parsed_texts(jobs)
    fixed = {key for key in jobs[0].swept if not all(movable(values[key][job.swept[key]]) for job in jobs)}
    made = []
    pending = [(members, fixed) for members in parts_by(jobs, fixed, lambda key, text: text)]
    while pending:
        members, kept = pending.pop(0)
        template = built_or_told(build, members[0].overrides)
        free = [key for key in members[0].swept if key not in kept]
        seen = {key: target_of(key, members, values[key], template, build) for key in free}
        targets = {key: found for key, found in seen.items() if found is not None}
        lost = seen.keys() - targets.keys()
        numbers = {key for key, found in targets.items() if found.leaves}
        parts = parts_by(members, lost, lambda key, text: text)
        parts = [half for part in parts for half in parts_by(part, numbers, lambda key, text: zeros(values[key][text]))]
        if lost or len(parts) > 1:
            pending = [(part, kept | lost) for part in parts] + pending
        else:
            made.append(group(members, template, targets, values))
    return sorted(made, key=lambda group: group.jobs[0].index)


def parsed_texts(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """Return for each swept key its texts and their values, each parsed once."""
    parser = OverridesParser.create()
    texts: dict[str, dict[str, Any]] = {key: {} for key in jobs[0].swept}
    for job in jobs:
        for key, text in job.swept.items():
            if text not in texts[key]:
                plain = NUMBER.fullmatch(text)
                texts[key][text] = number(text) if plain else parser.parse_override(f"{key}={text}").value()
    return texts


def number(text: str) -> int | float:
    """Return the number that a text matching `NUMBER` writes."""
    return float(text) if set(text) & set(".eE") else int(text)


def movable(value: Any) -> bool:
    """Tell whether a value may differ between stacked runs: a number, or a list of numbers (a start)."""
    if isinstance(value, list):
        return all(movable(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def parts_by(jobs: Sequence[Job], keys: set[str], trait: Callable[[str, str], Any]) -> list[list[Job]]:
    """Return the jobs in parts that agree in a trait of each key's text."""
    parts: dict[tuple, list[Job]] = {}
    for job in jobs:
        parts.setdefault(tuple(trait(key, text) for key, text in job.swept.items() if key in keys), []).append(job)
    return list(parts.values())


def target_of(
    key: str, jobs: Sequence[Job], values: Mapping[str, Any], template: Experiment, build: Build
) -> SweptTarget | None:
    """Return what a key sets, seen by building a second experiment; None where it is structure.

    A key sets numbers alone only where the experiment with these numbers replaced is the one that its classes make, in
    everything that depends on them: a class may have derived something from a number when it was made.
    """
    first = jobs[0].swept[key]
    other = next((job.swept[key] for job in jobs if values[job.swept[key]] != values[first]), None)
    if other is None:
        return SweptTarget()
    value = values[other]
    probe = built_or_told(build, [f"{key}={other}" if o.split("=", 1)[0] == key else o for o in jobs[0].overrides])
    if same(dataclasses.replace(template, seed=probe.seed), probe) and probe.seed == value:
        return SweptTarget(seed=True)
    own: Any = template.objective  # a dataclass, as every objective is
    for field in own.start_fields:
        objective = dataclasses.replace(own, **{field: getattr(probe.objective, field)})
        if key == f"objective.{field}" and same(dataclasses.replace(template, objective=objective), probe):
            return SweptTarget(start=field)
    before, after = leaves(template), leaves(probe)
    changed = [leaf for leaf in before if before[leaf] != after.get(leaf)]
    moved = with_leaves(template, {leaf: after[leaf] for leaf in changed if leaf in after})
    places: dict[Leaf, int | None] = dict.fromkeys(changed)
    if isinstance(value, list):  # other jobs may change elements that are the same in these two
        places = {(*leaf[:-1], i): i for leaf in changed for i in range(len(value))}
    fits = places and same(moved, probe) and all(after.get(leaf) == element(value, i) for leaf, i in places.items())
    return SweptTarget(leaves=places) if fits and set(changed) <= places.keys() else None


def element(value: Any, place: int | None) -> float:
    """Return a number, or the element of a list of numbers."""
    return value if place is None else value[place]


def zeros(value: Any) -> Any:
    """Tell whether a number is 0, or which elements of a list are."""
    return tuple(x == 0 for x in value) if isinstance(value, list) else value == 0


def group(
    jobs: Sequence[Job],
    template: Experiment,
    targets: Mapping[str, SweptTarget],
    values: Mapping[str, Mapping[str, Any]],
) -> Group:
    """Return the group of jobs with these targets of the swept keys, each job's numbers checked by their classes."""
    numbers = {
        leaf: [float(element(values[key][job.swept[key]], place)) for job in jobs]
        for key, found in targets.items()
        for leaf, place in found.leaves.items()
    }
    seed = next((key for key, found in targets.items() if found.seed), None)
    seeds = [template.seed if seed is None else values[seed][job.swept[seed]] for job in jobs]
    starts = {found.start: key for key, found in targets.items() if found.start}
    known: dict[tuple, Experiment] = {}
    objectives: list[Objective] = []
    for i, job in enumerate(jobs):
        own = {leaf: column[i] for leaf, column in numbers.items()}
        begin = {field: values[key][job.swept[key]] for field, key in starts.items()}
        objectives.append(checked_objective(template, job, own, begin, known))
    return Group(tuple(jobs), template, numbers, seeds, objectives, serial(template))


def checked_objective(
    template: Experiment, job: Job, numbers: Mapping[Leaf, float], start: Mapping[str, Any], known: dict[tuple, Any]
) -> Objective:
    """Return a job's objective, after its classes have looked at its numbers; each different part is made once."""
    parts = {}
    for part in {str(leaf[0]) for leaf in numbers} | ({"objective"} if start else set()):
        own = numbers_in(numbers, part)
        begin = start if part == "objective" else {}
        key = (part, tuple(own.values()), str(begin))
        if key not in known:
            try:
                known[key] = remade(dataclasses.replace(getattr(template, part), **begin), own)
            except ConfigurationError as error:
                raise ConfigurationError(f"{error} (run {job.index}: {' '.join(job.overrides)})") from error
        parts[part] = known[key]
    return parts.get("objective", template.objective)


def remade(owner: Any, numbers: Mapping[Leaf, float]) -> Any:
    """Return a new dataclass with some numbers inside it replaced, its checks run."""
    changes: dict[str, Any] = {}
    for name in {str(leaf[0]) for leaf in numbers}:
        inner = numbers_in(numbers, name)
        value = getattr(owner, name)
        if () in inner:
            changes[name] = inner[()]
        elif dataclasses.is_dataclass(value):
            changes[name] = remade(value, inner)
        elif isinstance(value, Mapping):
            parts = {key: numbers_in(inner, key) for key in value}
            changes[name] = {key: remade(part, parts[key]) if parts[key] else part for key, part in value.items()}
        else:
            changes[name] = type(value)(inner.get((i,), item) for i, item in enumerate(value))
    return dataclasses.replace(owner, **changes)


def numbers_in(numbers: Mapping[Leaf, float], name: str) -> dict[Leaf, float]:
    """Return the numbers that stand in a part, by their places there."""
    return {leaf[1:]: value for leaf, value in numbers.items() if leaf[0] == name}


def serial(template: Experiment) -> str | None:
    """Return why runs of this structure cannot be stacked, or None."""
    experiment, _, _ = template.placed(template.objective.init(template.generator()))
    parts: list[Objective | Optimizer | Aggregator | Metric] = [*experiment.metrics.values()]
    parts = [experiment.objective, experiment.optimizer, experiment.aggregator, *parts]
    for part in parts:
        if not part.batchable:
            return f"{type(part).__name__} is not made of tensor operations alone"
    return None


def built_or_told(build: Build, overrides: Iterable[str]) -> Experiment:
    """Build an experiment; where that fails, name the job."""
    overrides = list(overrides)
    try:
        return build(overrides)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (in the run {' '.join(overrides)})") from error
