"""Recurrent layers are those of torch, by oneDNN's kernel, too: values, derivatives, and alone as in a stack."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import descend
from descend.engine.run import Run
from descend.graph.compat import without_onednn
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.recurrent import LEAST, Recurrent

EXAMPLES, WIDTH = 32, 64
assert EXAMPLES * WIDTH >= LEAST
KINDS = list(product((1, 2), (False, True), (False, True)))


class Pictures(nn.Module):
    """Two layers, in both directions, over the rows of a picture."""

    def __init__(self, width: int = 48, dropout: float = 0.0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, width, 2, dropout=dropout, bidirectional=True)
        self.last = nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.lstm(x[:, 0].transpose(0, 1))[0].mean(0))


def made(layers: int, bidirectional: bool, batch_first: bool, dropout: float = 0.0) -> tuple[nn.LSTM, list[Tensor]]:
    """Return an LSTM and its inputs: a sequence and the states before."""
    torch.manual_seed(layers)
    lstm = nn.LSTM(5, WIDTH, layers, batch_first=batch_first, bidirectional=bidirectional, dropout=dropout)
    ends = layers * (1 + bidirectional), EXAMPLES, WIDTH
    shape = (EXAMPLES, 7, 5) if batch_first else (7, EXAMPLES, 5)
    return lstm, [torch.randn(s).requires_grad_() for s in (shape, ends, ends)]


def loss(lstm: nn.LSTM, inputs: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return a number that depends on all that an LSTM returns, and what it depends on."""
    outputs, (hidden, cell) = lstm(inputs[0], (inputs[1], inputs[2]))
    value = outputs.square().mean() + hidden.sin().mean() + cell.cos().mean()
    return value, [*inputs, *lstm.parameters()]


@pytest.mark.parametrize(("layers", "bidirectional", "batch_first"), KINDS)
def test_value_and_gradient_are_those_of_torch(layers: int, bidirectional: bool, batch_first: bool) -> None:
    """To the bit: it is the kernel that torch takes."""
    lstm, inputs = made(layers, bidirectional, batch_first)
    expected, leaves = loss(lstm, inputs)
    right = torch.autograd.grad(expected, leaves)
    with Recurrent():
        found, _ = loss(lstm, inputs)
    assert found.equal(expected)
    assert all(x.equal(y) for x, y in zip(torch.autograd.grad(found, leaves), right, strict=True))


@pytest.mark.parametrize(("layers", "bidirectional", "batch_first"), KINDS)
def test_second_derivatives_are_those_of_single_operations(layers: int, bidirectional: bool, batch_first: bool) -> None:
    """In float64, which the kernel does not have; torch's own LSTM has none in float32."""
    lstm, inputs = made(layers, bidirectional, batch_first)

    def twice(lstm: nn.LSTM, inputs: Sequence[Tensor]) -> list[Tensor]:
        value, leaves = loss(lstm, inputs)
        first = torch.autograd.grad(value, leaves, create_graph=True)
        return [*first, *torch.autograd.grad(torch.stack([x.square().sum() for x in first]).sum(), leaves)]

    with Recurrent():
        found = twice(lstm, inputs)
    with without_onednn():
        right = twice(lstm.double(), [x.detach().double().requires_grad_() for x in inputs])
    for x, y in zip(found, right, strict=True):
        torch.testing.assert_close(x.double(), y, rtol=1e-4, atol=1e-5 * y.abs().max().item())


def test_dropout_between_layers_draws_what_torch_draws() -> None:
    lstm, inputs = made(2, True, False, dropout=0.5)
    results = []
    for context in (without_onednn(), Recurrent()):
        torch.manual_seed(7)
        with context:
            results.append(lstm(inputs[0])[0])
    torch.testing.assert_close(results[0], results[1])
    with Recurrent():
        assert lstm.eval()(inputs[0])[0].equal(lstm(inputs[0])[0])


@pytest.mark.parametrize("kind", [{"proj_size": 16}, {"bias": False}])
def test_what_the_kernel_does_not_have_is_made_of_single_operations(kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    lstm, x = nn.LSTM(5, WIDTH, **kind), torch.randn(7, EXAMPLES, 5)
    with without_onednn():
        right = lstm(x)[0]
    with Recurrent():
        assert lstm(x)[0].equal(right)
        packed = nn.utils.rnn.pack_padded_sequence(x, [7] * EXAMPLES)
        assert lstm(packed)[0].data.shape == packed.data.shape[:1] + right.shape[2:]


def test_it_is_single_operations_within_transforms_and_autocast() -> None:
    lstm, inputs = made(1, False, False)
    x, direction = inputs[0].detach(), torch.ones_like(inputs[0])
    with Recurrent():
        slope = torch.func.jvp(lambda x: lstm(x)[0].sum(), (x,), (direction,))[1]
        found = torch.autograd.grad(lstm(inputs[0])[0].sum(), inputs[0])[0].sum()
        with torch.autocast("cpu", torch.bfloat16):
            cast = lstm(x)[0]
    with without_onednn(), torch.autocast("cpu", torch.bfloat16):
        assert cast.equal(lstm(x)[0])
    torch.testing.assert_close(slope, found, rtol=1e-4, atol=1e-4)


class Small(nn.Module):
    """Two small layers of a kind, with dropout between them."""

    def __init__(self, kind: str = "GRU") -> None:
        super().__init__()
        self.layers = getattr(nn, kind)(8, 6, 2, dropout=0.4, batch_first=True)
        self.last = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(x[:, 0])[0].mean(1))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_dropout_between_layers_is_recorded(kind: str) -> None:
    """torch computes these layers in place, and draws beside: both are in one recording."""
    target = ["objective=module", f"objective.module._target_={__name__}.Small", f"+objective.module.kind={kind}"]
    base = [*target, "steps=12", "metrics=none", "derivatives=none"]
    overrides = [*base, "seed=1"]
    run = Run(build(compose(overrides), overrides))
    assert run.loop.backend.name == "graph"
    for _ in run:
        pass
    table = descend.sweep([*base, "seed=range(0,3)"])
    assert table.filter(table["seed"] == 1)["value"][0] == run.result().value
    still = descend.run([*overrides, f"objective.module._target_={__name__}.Still"])
    assert still.value != run.result().value


class Still(Small):
    """The same without dropout."""

    def __init__(self, kind: str = "GRU") -> None:
        super().__init__(kind)
        self.layers.dropout = 0.0


BASE = [
    "objective=module", f"objective.module._target_={__name__}.Pictures", "objective.batch_size=48", "steps=20",
    "optimizer=adam", "dtype=float32",
]  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_by_the_kernel_is_the_same_alone_and_in_a_stack(threads: int) -> None:
    """With a width whose parts lie at addresses of all kinds, dropout, and all the default metrics."""
    base = [*BASE, "objective.module.dropout=0.3", f"threads={threads}", "derivatives=none"]
    table = descend.sweep([*base, "seed=range(0,3)", "optimizer.lr=0.01,0.02"])
    for seed, lr in ((1, 0.02), (2, 0.01)):
        alone = descend.run([*base, f"seed={seed}", f"optimizer.lr={lr}"])
        row = table.filter((table["seed"] == seed) & (table["optimizer.lr"] == lr)).row(0, named=True)
        assert row["value"] == alone.value
        assert row["metrics.accuracy"] == alone.metrics["accuracy"]


def test_the_kernel_is_recorded_and_has_a_hessian() -> None:
    overrides = [*BASE, "derivatives=second", "steps=3"]
    run = Run(build(compose(overrides), overrides))
    assert run.loop.backend.name == "graph"
    targets = {str(node.target) for node in run.loop.backend.program.step(()).graph.graph.nodes}  # type: ignore[attr-defined]
    assert {"descend.lstm_layer.default", "descend.lstm_layer_backward.default"} <= targets
    for _ in run:
        pass
    assert run.result().value < 2.4


@pytest.mark.long
def test_the_kernel_is_compiled_into_a_program() -> None:
    overrides = [*BASE, "metrics=none", "derivatives=none", "steps=16"]
    plain, compiled = (descend.run([*overrides, f"compile={x}"]).value for x in ("false", "true"))
    assert compiled == pytest.approx(plain, rel=1e-4)
