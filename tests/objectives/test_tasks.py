"""The tasks that the menu brings along, against what their authors published."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import descend
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.data.auto_mpg import AutoMPG
from descend.objectives.data.mnist1d import MNIST1D
from descend.objectives.data.quadratic_points import QuadraticPoints
from descend.objectives.module import Module
from descend.objectives.modules.deep_quadratic import DeepQuadratic, draw_rotation
from descend.objectives.modules.gpt import GPT
from descend.objectives.modules.transformer import Attention


def objective(*overrides: str) -> Module:
    made = build(compose(list(overrides)), list(overrides)).objective
    assert isinstance(made, Module)
    return made


def test_mnist1d_is_the_data_set_of_its_authors_and_leaves_the_generators_alone() -> None:
    """Numbers of mnist1d_data.pkl, which the authors publish beside the package."""
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    split = MNIST1D(test_fraction=0.5).split()
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002
    np.testing.assert_allclose(
        split.train_inputs[0, :4],
        [-0.332005667369, -0.471910365655, -0.778697076293, -1.009740826537],
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        split.test_inputs[-1, -4:],
        [0.447232885142, 0.659875647089, 0.877734349752, 1.193151836835],
        rtol=1e-10,
    )
    assert split.train_targets[:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert split.test_targets[:12].tolist() == [2, 6, 3, 9, 4, 3, 1, 9, 5, 2, 0, 7]
    assert (len(split.train_inputs), len(split.test_inputs), split.classes) == (4000, 1000, 10)


@pytest.mark.parametrize(("name", "count"), [("mlp", 15_210), ("cnn", 5_210), ("gru", 5_134), ("logistic", 410)])
def test_networks_on_mnist1d_have_as_many_parameters_as_the_authors(name: str, count: int) -> None:
    """Counts as the authors' notebook mnist1d-classification.ipynb prints them."""
    made = build(compose([f"objective=mnist1d_{name}"]), []).objective
    assert sum(x.numel() for x in made.init(torch.Generator().manual_seed(0)).values()) == count


def test_the_start_of_the_deep_quadratic_has_the_test_loss_that_deepobs_logged() -> None:
    """The first of `test_losses` in DeepOBS_Baselines, quadratic_deep/*/*.json: all runs start at 1."""
    task = objective("objective=deep_quadratic")
    start = task.init(torch.Generator())
    assert float(task.evaluate(start)["test_loss"]) == pytest.approx(353.44676426478793, rel=1e-8)


def test_tuned_sgd_reaches_on_the_deep_quadratic_what_deepobs_published() -> None:
    """convergence_performance.json of DeepOBS_Baselines: 87.703; the ten runs with this rate there: 87.15 to 87.59."""
    rate = ["optimizer=sgd", "optimizer.lr=0.015848931925", "steps=700", "seed=range(0,3)"]
    table = descend.sweep(["objective=deep_quadratic", *rate, "metrics=none", "derivatives=none"])
    assert table["metrics.test_loss"].to_list() == pytest.approx([87.703] * 3, rel=0.01)


def test_the_noisy_quadratic_is_tested_without_noise() -> None:
    task = objective("objective=noisy_quadratic")
    matrix = DeepQuadratic().factor.T @ DeepQuadratic().factor
    assert float(task.evaluate({"theta": torch.zeros(100).double()})["test_loss"]) == 0
    assert float(task.evaluate({"theta": torch.ones(100).double()})["test_loss"]) == pytest.approx(
        float(matrix.sum()) / 2
    )
    quiet, loud = QuadraticPoints().split(), QuadraticPoints(noise=3.0).split()
    torch.testing.assert_close(loud.train_inputs, 5 * quiet.train_inputs, rtol=1e-6, atol=1e-6)


def test_a_rotation_is_one() -> None:
    rotation = draw_rotation(np.random.RandomState(0), 7)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(7), atol=1e-14)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_least_squares_on_the_cars_explain_what_is_published() -> None:
    """James et al., "An introduction to statistical learning": mpg on all columns, origin as a factor: R² 0.8242.

    The labs to chapter 3 (exercise 9) regress on all columns but the name.
    """
    split = AutoMPG(standardise=False).split()
    inputs = torch.cat([split.train_inputs, split.test_inputs])
    miles = torch.cat([split.train_targets, split.test_targets])
    left = miles - inputs @ torch.linalg.lstsq(inputs, miles).solution
    assert len(miles) == 392
    assert float(1 - (left**2).sum() / ((miles - miles.mean()) ** 2).sum()) == pytest.approx(0.8242, abs=5e-5)
    scaled = AutoMPG().split()
    assert set(scaled.train_inputs[:, 6:].unique().tolist()) == {0.0, 1.0}
    assert scaled.train_inputs[:, :6].std(dim=0, correction=0).tolist() == pytest.approx([1.0] * 6)


def test_a_gpt_has_the_characters_and_the_context_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("to be, or not to be: that is the question. " * 40)
    few = [f"objective.data.path={path}", "objective.data.context=8", "objective.module.depth=1"]
    task = objective("objective=char_gpt", *few)
    params = task.init(torch.Generator().manual_seed(0))
    assert params["tokens.weight"].shape == (len(set(path.read_text())), 128)
    assert params["places.weight"].shape == (8, 128)
    assert "last.weight" not in params  # it is the embedding's


def test_a_gpt_starts_with_the_loss_of_a_guess() -> None:
    tokens, targets = torch.randint(103, (2, 8, 64), generator=torch.Generator().manual_seed(0))
    loss = nn.functional.cross_entropy(GPT(classes=103)(tokens).flatten(end_dim=-2), targets.flatten())
    assert float(loss.detach()) == pytest.approx(math.log(103), rel=0.03)


def test_a_gpt_has_as_many_weights_as_the_formula_says() -> None:
    """12 d w² of depth d and width w: Kaplan et al., "Scaling laws for neural language models" (2020), section 2.1."""
    weights = [x.numel() for x in GPT(classes=65).blocks.parameters() if x.dim() == 2]
    assert sum(weights) == 12 * 4 * 128**2


def test_a_gpt_does_not_look_ahead() -> None:
    network = GPT(classes=9, context=6).eval()
    tokens = torch.arange(6)[None]
    changed = tokens.clone()
    changed[0, 4] = 8
    before, after = network(tokens), network(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])
    with pytest.raises(ValueError, match="inputs have 7 tokens, but context is 6"):
        network(torch.zeros(1, 7, dtype=torch.int64))


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_that_of_torch(causal: bool) -> None:
    torch.manual_seed(0)
    own = Attention(12, 3, causal, bias=True, dropout=0.0).double()
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    theirs.load_state_dict(
        {
            "in_proj_weight": own.into.weight,
            "in_proj_bias": own.into.bias,
            "out_proj.weight": own.out.weight,
            "out_proj.bias": own.out.bias,
        }
    )
    x = torch.randn(2, 5, 12).double()
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    torch.testing.assert_close(own(x), theirs(x, x, x, attn_mask=mask)[0])


def test_a_context_too_long_for_the_network_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="inputs have 64 tokens, but context is 8"):
        objective("objective=char_gpt", "objective.module.context=8")
