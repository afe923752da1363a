"""A `torch.nn.Module` that learns from data, used without changes."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial, reduce
from typing import Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.graph.chance import mixed, set_to
from descend.kinds import usual_kinds
from descend.objectives.data.dataset import Dataset
from descend.objectives.examples import FromExamples
from descend.objectives.labels import composed_of, drawn_classes, drawn_numbers
from descend.objectives.recurrent import Recurrent
from descend.types import Batch, Composed, Losses, Params, State

PART = 1024
"""How many examples are evaluated at a time outside of training steps: some networks have no memory for more."""


@dataclass(frozen=True)
class Module(FromExamples):
    """The mean loss of a module's outputs over training examples.

    Parameters and buffers keep the names that they have in the module. The buffers (running statistics of a batch norm)
    are the objective's state, which only training steps change. Metrics, and losses outside of training steps, are
    computed in evaluation mode. Random numbers in training (dropout) are drawn from the run's seed and step. What
    changes the outputs of a later call is in the buffers, or the module is refused. The module passed in is never
    changed; parameters that do not require a gradient stay as they are.

    Args:
        module: a callable that makes the module, such as its class: each run calls it with the run's seed. Or a module:
            every run starts from its present parameters. A partial with `classes=None` is given the number of classes
            in the data.
        data: the examples.
        loss: (outputs, targets) -> a number, or a dict of several by name. None takes the cross-entropy for integer
            targets, with the classes on the last axis of the outputs or on the second, and the mean squared error for
            all others.
        batch_size: see `FromExamples`.
        most_evaluated: on how many training examples the start and the end of a run are evaluated at most, evenly
            spread over all: evaluating a larger set would take longer than the training.

    Raises:
        ConfigurationError: the module cannot take the examples, or has nothing to train.
    """

    module: Callable[..., nn.Module] | nn.Module
    data: Dataset
    loss: Callable[[Tensor, Tensor], Tensor | Losses] | None = None
    batch_size: int | None = 64  # type: ignore[assignment]  # an int after __post_init__
    most_evaluated: int = 8192

    def __post_init__(self) -> None:
        self.take_split()
        check_number(self, "most_evaluated", at_least=1)
        trained = self._new_module(0)
        object.__setattr__(self, "_modules", {True: trained.train(), False: for_evaluation(trained)})
        object.__setattr__(self, "_recurrent", any(isinstance(part, nn.LSTM) for part in trained.modules()))
        check_module(trained)
        object.__setattr__(self, "_state", state_of(trained))
        self._check_outputs()

    def _new_module(self, seed: int) -> nn.Module:
        """Return a new module, its parameters drawn from this seed."""
        if isinstance(self.module, nn.Module):
            return copy.deepcopy(self.module)
        classes = {"classes": self.data.classes} if asks_for_classes(self.module) else {}
        with set_to(mixed(seed), []):
            made = self.module(**classes)
        if not isinstance(made, nn.Module):
            raise ConfigurationError(
                f"objective.module makes a {type(made).__name__}, but a torch.nn.Module is needed; name its class by "
                "objective.module._target_."
            )
        return made

    def start_and_state(self, generator: torch.Generator) -> tuple[Params, State]:
        seed = torch.randint(2**62, (), generator=generator, dtype=torch.int64, device=generator.device)
        made = self._new_module(int(seed))
        params = {name: x.detach().to(torch.float64) for name, x in made.named_parameters() if x.requires_grad}
        return params, state_of(made)

    def init(self, generator: torch.Generator) -> Params:
        return self.start_and_state(generator)[0]

    def kinds(self, params: Params) -> dict[str, str]:
        """Return the kind of each parameter: embeddings and norms by torch's layers, all others by name and shape."""
        return usual_kinds(params) | kinds_by_layer(self._modules[False], params)  # type: ignore[attr-defined]

    def with_state(self, state: State) -> Self:
        found = copy.copy(self)
        object.__setattr__(found, "_state", state)
        return found

    def to(self, dtype: torch.dtype, device: torch.device) -> Self:
        moved = super().to(dtype, device)
        state = self._state  # type: ignore[attr-defined]
        placed = {name: x.to(device, dtype if x.is_floating_point() else x.dtype) for name, x in state.items()}
        return moved.with_state(placed)

    def outputs(self, params: Params, inputs: Tensor, training: bool = False) -> tuple[Tensor, State]:
        """Return the module's outputs for inputs [n, …], and its buffers after the call."""
        modules, state = self._modules, self._state  # type: ignore[attr-defined]
        kept = {name: x.clone() for name, x in state.items()}  # a module writes into its buffers
        with Recurrent() if self._recurrent else nullcontext():  # type: ignore[attr-defined]
            return functional_call(modules[training], params | kept, (inputs,)), kept

    def fresh_module(self) -> nn.Module:
        """Return an untrained copy of the module in evaluation mode, which the caller may change."""
        return self._new_module(0).eval()  # not a copy of one that was called, which may keep what cannot be copied

    def trained(self, params: Params, state: State) -> Params:
        made, values = self.fresh_module(), params | state
        for name, x in [*made.named_parameters(), *made.named_buffers()]:
            x.data = values[name].detach().cpu().clone()
        return dict(made.state_dict())  # it has both names of a tied parameter

    def _losses(self, outputs: Tensor, targets: Tensor) -> Losses:
        found = (self.loss or usual_loss)(outputs, targets)
        return found if isinstance(found, dict) else {"loss" if self.loss else usual_name(targets): found}

    def training_losses(self, params: Params, batch: Batch) -> tuple[Losses, State]:
        inputs, targets = self.examples(batch)
        outputs, state = self.outputs(params, inputs, training=True)
        return self._losses(outputs, targets), state

    def losses(self, params: Params, batch: Batch) -> Losses:
        if batch is None:
            every = len(self.train_targets)
            spread = torch.arange(min(every, self.most_evaluated), device=self.train_targets.device)
            batch = spread * every // len(spread) if every > self.most_evaluated else None
        return self._over(params, *self.examples(batch), self._losses)

    def _over(
        self, params: Params, inputs: Tensor, targets: Tensor, of: Callable[[Tensor, Tensor], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return means over examples, computed part by part."""
        parts = []
        for x, y in zip(inputs.split(PART), targets.split(PART), strict=True):
            found = of(self.outputs(params, x)[0], y)
            parts.append({name: value * (len(y) / len(targets)) for name, value in found.items()})
        return {name: reduce(torch.add, [part[name] for part in parts]) for name in parts[0]}

    def tested(self, params: Params, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        def metrics(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
            found = {f"test_{name}": x for name, x in self._losses(outputs, targets).items()}
            return accuracies(outputs, targets) | found

        return self._over(params, inputs, targets, metrics)

    def composed(self, weights: Tensor, batch: Batch, training: bool = False) -> Composed:
        inputs, targets = self.examples(batch)

        def loss(outputs: Tensor, labels: Tensor) -> Tensor:
            return torch.dot(weights, torch.stack(tuple(self._losses(outputs, labels).values())))

        draw = partial(usual_labels, targets=targets) if self.loss is None else None
        return composed_of(lambda params: self.outputs(params, inputs, training)[0], loss, targets, draw)

    def _check_outputs(self) -> None:
        """Try the module and the loss on two examples, the second with the largest target."""
        module = self._modules[False]  # type: ignore[attr-defined]
        largest = int(self.train_targets.flatten().argmax()) // (self.train_targets[0].numel() or 1)
        inputs, targets = self.train_inputs[[0, largest]], self.train_targets[[0, largest]]
        floating = next(x.dtype for x in module.parameters())
        given = inputs.to(floating) if inputs.is_floating_point() else inputs
        name = type(module).__name__
        seen = f"inputs of shape {list(given.shape)} ({str(given.dtype).removeprefix('torch.')})"
        try:
            with torch.no_grad(), set_to(0, []):
                outputs = copy.deepcopy(module)(given)
        except Exception as error:  # a user's own code may raise anything
            raise ConfigurationError(f"{name}.forward raised {type(error).__name__} on {seen}: {error}.") from error
        if not isinstance(outputs, Tensor):
            raise ConfigurationError(
                f"{name}.forward gives a {type(outputs).__name__} for {seen}, but one tensor is needed; return one."
            )
        try:
            losses = self._losses(outputs, targets.to(floating) if targets.is_floating_point() else targets)
        except Exception as error:  # a user's own loss may raise anything
            raise ConfigurationError(
                f"The loss raised {type(error).__name__} on outputs of shape {list(outputs.shape)} and targets of "
                f"shape {list(targets.shape)}: {error}."
            ) from error
        wrong = [f"{key!r} has shape {list(x.shape)}" for key, x in losses.items() if x.dim()]
        if wrong:
            raise ConfigurationError(f"A loss is one number, but {wrong[0]}; take its mean.")


def for_evaluation(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that can be differentiated.

    Recurrent layers keep the values that a gradient needs in training mode only. For them that mode differs from
    evaluation mode by dropout alone.
    """
    made = copy.deepcopy(module).eval()
    for part in made.modules():
        if isinstance(part, nn.RNNBase):
            part.train().dropout = 0.0
    return made


def asks_for_classes(module: Callable[..., nn.Module]) -> bool:
    """Tell whether a partial leaves the number of classes open, by `classes=None`."""
    return getattr(module, "keywords", {}).get("classes", 0) is None


NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def kinds_by_layer(module: nn.Module, params: Params) -> dict[str, str]:
    """Return the kinds of the parameters that belong to norms and embeddings, shared parameters included."""
    found: dict[str, str] = {}
    for layer, kind in ((EMBEDDINGS, "embedding"), (NORMS, "norm")):
        held = [x for part in module.modules() if isinstance(part, layer) for x in part.parameters(recurse=False)]
        found |= {name: kind for name, x in module.named_parameters() if name in params and any(x is y for y in held)}
    return found


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a module that are not trained, in float64: buffers, and parameters without a gradient."""
    frozen = ((name, x) for name, x in module.named_parameters() if not x.requires_grad)
    kept = {name: x.detach().clone() for name, x in [*module.named_buffers(), *frozen]}
    return {name: x.double() if x.is_floating_point() else x for name, x in kept.items()}


def usual_name(targets: Tensor) -> str:
    """Return the name of the usual loss."""
    return "mean_squared_error" if targets.is_floating_point() else "cross_entropy"


def usual_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of floating targets, or the cross-entropy of classes."""
    if targets.is_floating_point():
        return functional.mse_loss(outputs.reshape(targets.shape), targets)
    if outputs.shape[:-1] == targets.shape:
        return functional.cross_entropy(outputs.flatten(end_dim=-2), targets.flatten())
    return functional.cross_entropy(outputs, targets)


def usual_labels(outputs: Tensor, targets: Tensor) -> Tensor:
    """Draw labels like the targets from the distribution p of which `usual_loss` is the mean −log p."""
    if targets.is_floating_point():
        return drawn_numbers(outputs.reshape(targets.shape))
    return drawn_classes(outputs if outputs.shape[:-1] == targets.shape else outputs.movedim(1, -1))


def accuracies(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return the share of targets whose output is the largest, and the share of the others; {} for numbers."""
    if targets.is_floating_point() or outputs.dim() <= targets.dim():
        return {}
    classes = outputs.argmax(dim=-1 if outputs.shape[:-1] == targets.shape else 1)
    accuracy = (classes == targets).to(outputs.dtype).mean()
    return {"accuracy": accuracy, "error": 1 - accuracy}


def check_module(module: nn.Module) -> None:
    """Require parameters that can be trained.

    Raises:
        ConfigurationError: naming the parameter and what is wrong with it.
    """
    name = type(module).__name__
    for key, x in [*module.named_parameters(), *module.named_buffers()]:
        if isinstance(x, UninitializedParameter | UninitializedBuffer):
            raise ConfigurationError(
                f"{name} is lazy: {key!r} has no shape before the first call; give the layer its sizes."
            )
        if x.is_complex():
            raise ConfigurationError(
                f"{key!r} of {name} is complex, but only real numbers are trained; hold its parts."
            )
    if not any(x.requires_grad for x in module.parameters()):
        raise ConfigurationError(f"{name} has no parameter that requires a gradient, so there is nothing to train.")
