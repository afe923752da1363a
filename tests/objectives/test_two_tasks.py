"""Two heads on one trunk, against scikit-learn's measures of the probabilities they give."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from descend.errors import ConfigurationError
from descend.objectives.data.diabetes import Diabetes
from descend.objectives.data.digits import Digits
from descend.objectives.networks import MLP
from descend.objectives.two_tasks import TwoTasks

TASKS = TwoTasks(Digits(), MLP(hidden=[6]))


def test_losses_and_accuracies_are_those_of_scikit_learn() -> None:
    params = {name: 3 * x for name, x in TASKS.init(torch.Generator().manual_seed(1)).items()}
    outputs = TASKS.network(params, TASKS.test_inputs)
    digits, odd = TASKS.test_targets.numpy(), TASKS.test_targets.numpy() % 2
    classes = outputs[:, :10].softmax(dim=1).numpy()
    chance = outputs[:, 10].sigmoid().numpy()
    found = {name: float(x) for name, x in TASKS.evaluate(params).items()}
    assert found == pytest.approx(
        {
            "digit_accuracy": accuracy_score(digits, classes.argmax(axis=1)),
            "parity_accuracy": accuracy_score(odd, chance > 0.5),
            "test_digit": log_loss(digits, classes),
            "test_parity": log_loss(odd, np.stack([1 - chance, chance], axis=1)),
        },
        rel=1e-9,
    )
    assert outputs.shape == (len(digits), 11)


def test_each_loss_has_a_head_of_its_own_and_they_share_the_trunk() -> None:
    params = {name: x.requires_grad_() for name, x in TASKS.init(torch.Generator().manual_seed(0)).items()}
    digit, parity = (
        dict(zip(params, torch.autograd.grad(loss, list(params.values()), retain_graph=True), strict=True))
        for loss in TASKS.losses(params, None).values()
    )
    assert list(TASKS.losses(params, None)) == ["digit", "parity"]
    assert bool((digit["linear2.weight"][:10] != 0).any(dim=1).all())
    assert not digit["linear2.weight"][10].any()
    assert not parity["linear2.weight"][:10].any()
    assert bool(parity["linear2.weight"][10].any())
    assert bool(digit["linear1.weight"].any())
    assert bool(parity["linear1.weight"].any())


def test_numbers_have_no_parity() -> None:
    with pytest.raises(ConfigurationError, match="Diabetes has numbers for targets"):
        TwoTasks(Diabetes(), MLP(hidden=[6]))
