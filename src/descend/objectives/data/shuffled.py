"""Data sets whose examples have no order: they are shuffled, split class by class, and standardised."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.data.dataset import Dataset, Examples
from descend.objectives.data.on_disk import OnDisk


@dataclass(frozen=True, kw_only=True)
class Shuffled(Dataset):
    """A data set shuffled by its own seed, so that every run of a comparison sees the same split.

    Each part gets its share of every class. Data that come in parts keep them, and `validation_fraction` is taken from
    the training part.

    Args:
        split_seed: seed of the shuffle that decides which example is in which part.
        standardise: shift and scale inputs, and targets that are numbers, to mean 0 and variance 1 over the training
            examples: tables column by column, images and all else over all their numbers together.
    """

    split_seed: int = 0
    standardise: bool = True

    def files(self) -> OnDisk | None:
        """Return the examples for reading one by one from disk; None where that is not possible."""
        return None

    def part_indices(self, examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator(device="cpu").manual_seed(self.split_seed)
        if examples.parts is None:
            return split_by_class(examples.targets, self.test_fraction, self.validation_fraction, generator)
        train, validation, test = examples.parts
        if len(validation) or not self.validation_fraction:
            return examples.parts
        rest, held_out, _ = split_by_class(examples.targets[train], 0.0, self.validation_fraction, generator)
        return train[rest], train[held_out], test

    def scaled(self, examples: Examples, train: Tensor) -> tuple[Tensor, Tensor]:
        inputs, targets = examples.inputs, examples.targets
        if not self.standardise:
            return inputs, targets
        if inputs.is_floating_point():
            inputs = standardised(inputs, train, examples.numbers)
        if targets.is_floating_point():
            targets = standardised(as_columns(targets), train).reshape(targets.shape)
        return inputs, targets


def as_columns(targets: Tensor) -> Tensor:
    """Return targets as columns, [n, …]; targets [n] become one column."""
    return targets[:, None] if targets.dim() == 1 else targets


def split_by_class(
    targets: Tensor, test_fraction: float, validation_fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return indices of training, validation and test examples; the examples of each class are split at random.

    Args:
        targets: [n] classes; anything else is split as one class.
    """
    classes = targets.dim() == 1 and not targets.is_floating_point()
    strata = targets if classes else torch.zeros(len(targets), dtype=targets.dtype, device="cpu")
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for stratum in strata.unique():
        members = (strata == stratum).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator, device="cpu")]
        tested = share(test_fraction, len(members), len(members))
        validated = share(validation_fraction, len(members), len(members) - tested)
        sizes = [tested, validated, len(members) - tested - validated]
        test, validation, train = members.split(sizes)
        for part, indices in zip(parts, (train, validation, test), strict=True):
            part.append(indices)
    train, validation, test = map(torch.cat, parts)
    return train, validation, test


def share(fraction: float, examples: int, left: int) -> int:
    """Return how many examples a fraction means: 0 for the fraction 0, else at least 1 and at most `left` − 1."""
    return min(max(round(fraction * examples), 1), max(left - 1, 0)) if fraction else 0


def standardised(values: Tensor, train: Tensor, numbers: Tensor | None = None) -> Tensor:
    """Shift and scale to mean 0 and variance 1 over the training examples; the others do not influence the scale.

    Tables are scaled column by column. Images are scaled over all pixels together, because a pixel that is always blank
    has no variance of its own. Values that are constant over the training examples are only shifted.

    Args:
        values: float64 [n, …].
        numbers: the columns that are scaled, bool [features]; None scales all.
    """
    over = (0,) if values.ndim == 2 else tuple(range(values.ndim))
    seen = values[train]
    deviation, mean = torch.std_mean(seen, dim=over, correction=0, keepdim=True)
    deviation = torch.where(seen.amax(over, keepdim=True) == seen.amin(over, keepdim=True), 1.0, deviation)
    if numbers is not None:
        deviation, mean = torch.where(numbers, deviation, 1.0), torch.where(numbers, mean, 0.0)
    return (values - mean) / deviation


def of_parts(
    dataset: Dataset,
    train: tuple[Tensor, Tensor] | None,
    validation: tuple[Tensor, Tensor] | None,
    test: tuple[Tensor, Tensor] | None,
) -> Examples:
    """Return the examples of the given parts; a training part alone is left to be split.

    Raises:
        ConfigurationError: parts differ in the shape or type of their examples; or there is a validation part, but none
            for testing.
    """
    parts = [part for part in (train, validation, test) if part is not None]
    if train is not None and len(parts) == 1:
        return Examples(*train)
    if train is None or test is None:
        raise ConfigurationError(f"{dataset} comes in parts, so it needs one for training and one for testing.")
    for i, what in enumerate(("inputs", "targets")):
        kinds = {(tuple(part[i].shape[1:]), part[i].dtype) for part in parts}
        if len(kinds) > 1:
            shown = " and ".join(sorted(f"{list(shape)} ({str(dtype)[6:]})" for shape, dtype in kinds))
            raise ConfigurationError(
                f"The {what} of one example in the parts of {dataset} have the shapes {shown}; make them agree."
            )
    for part in parts:
        if len(part[0]) != len(part[1]):
            return Examples(*part)  # `check_examples` refuses it
    sizes = [0 if part is None else len(part[0]) for part in (train, validation, test)]
    places = torch.arange(sum(sizes), device="cpu").split(sizes)
    inputs, targets = (torch.cat([part[i] for part in parts]) for i in (0, 1))
    return Examples(inputs, targets, (places[0], places[1], places[2]))
