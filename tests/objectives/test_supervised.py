"""Learning from data: batches, losses and metrics against scikit-learn's."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score

from descend.errors import ConfigurationError
from descend.objectives.classification import Classification
from descend.objectives.data.breast_cancer import BreastCancer
from descend.objectives.data.diabetes import Diabetes
from descend.objectives.data.digits import Digits
from descend.objectives.networks import MLP
from descend.objectives.regression import Regression
from descend.objectives.supervised import Supervised
from descend.types import Params

LINEAR = MLP(hidden=[])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradient_norm(objective: Supervised, params: Params) -> float:
    leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
    total = torch.stack(list(objective.losses(leaves, None).values())).sum()
    gradients = torch.autograd.grad(total, list(leaves.values()))
    return math.sqrt(sum(float(g.square().sum()) for g in gradients))


@pytest.mark.parametrize("l2", [0.0, 0.1, 3.0])
def test_linear_and_ridge_regression_are_lowest_where_scikit_learn_says(l2: float) -> None:
    objective = Regression(Diabetes(), LINEAR, l2=l2)
    x, y = objective.train_inputs.numpy(), objective.train_targets.numpy()
    # mean squared error + λ/2 ‖w‖² is 1/n of scikit-learn's ‖y − Xw‖² + α‖w‖² with α = nλ/2.
    fitted = (Ridge(alpha=len(y) * l2 / 2) if l2 else LinearRegression()).fit(x, y)
    params = {
        "linear1.weight": torch.tensor(fitted.coef_[None]),
        "linear1.bias": torch.tensor([fitted.intercept_], dtype=torch.float64),
    }
    assert gradient_norm(objective, params) < 1e-10
    found = objective.evaluate(params)
    predicted = fitted.predict(objective.test_inputs.numpy())
    truth = objective.test_targets.numpy()
    assert found["test_mean_squared_error"].item() == pytest.approx(mean_squared_error(truth, predicted), rel=1e-10)
    assert found["error"].item() == pytest.approx(math.sqrt(mean_squared_error(truth, predicted)), rel=1e-10)
    assert found["r_squared"].item() == pytest.approx(r2_score(truth, predicted), rel=1e-10)


def test_logistic_regression_is_lowest_where_scikit_learn_says() -> None:
    l2 = 0.01
    objective = Classification(BreastCancer(), LINEAR, l2=l2)
    x, y = objective.train_inputs.numpy(), objective.train_targets.numpy()
    # Of two softmax outputs only the difference w counts, and ‖w₀‖² + ‖w₁‖² is least at ∓w/2: λ/2 · ‖w‖²/2. Against
    # scikit-learn's ½‖w‖² + C Σ losses that is C = 2/(λn).
    fitted = LogisticRegression(C=2 / (l2 * len(y)), solver="newton-cholesky", tol=1e-12).fit(x, y)
    half, intercept = torch.tensor(fitted.coef_[0] / 2), torch.tensor(fitted.intercept_ / 2)
    params = {"linear1.weight": torch.stack([-half, half]), "linear1.bias": torch.cat([-intercept, intercept])}
    assert gradient_norm(objective, params) < 1e-8
    found = objective.evaluate(params)
    test, truth = objective.test_inputs.numpy(), objective.test_targets.numpy()
    assert found["accuracy"].item() == pytest.approx(accuracy_score(truth, fitted.predict(test)), rel=1e-12)
    assert found["error"].item() == pytest.approx(1 - accuracy_score(truth, fitted.predict(test)), abs=1e-12)
    assert found["test_cross_entropy"].item() == pytest.approx(log_loss(truth, fitted.predict_proba(test)), rel=1e-9)


def test_penalty_counts_weights_alone_and_is_a_loss_of_its_own() -> None:
    network = MLP(hidden=[5], norm=True)
    plain, penalised = Classification(Digits(), network), Classification(Digits(), network, l2=0.5)
    params = plain.init(seeded(0))
    assert list(plain.losses(params, None)) == ["cross_entropy"]
    losses = penalised.losses(params, None)
    assert list(losses) == ["cross_entropy", "l2_penalty"]
    assert torch.equal(losses["cross_entropy"], plain.losses(params, None)["cross_entropy"])
    weights = [params[name].numpy() for name in ("linear1.weight", "linear2.weight")]
    assert losses["l2_penalty"].item() == pytest.approx(0.25 * sum(np.square(w).sum() for w in weights), rel=1e-12)


def test_an_epoch_sees_no_example_twice_and_drops_a_partial_batch() -> None:
    objective = Classification(Digits(), LINEAR, batch_size=100)
    batches = list(itertools.islice(objective.batches(seeded(0)), 28))
    assert {batch.dtype for batch in batches} == {torch.int64}
    epochs = torch.stack(batches).reshape(2, 1400)
    for epoch in epochs:
        assert len(epoch.unique()) == 1400
        assert int(epoch.min()) >= 0
        assert int(epoch.max()) < 1438
    assert not torch.equal(epochs[0], epochs[1])


def test_batches_that_divide_the_data_lose_nothing() -> None:
    objective = Classification(Digits(), LINEAR, batch_size=719)
    first, second = itertools.islice(objective.batches(seeded(0)), 2)
    assert torch.equal(torch.cat([first, second]).sort().values, torch.arange(1438))


def test_the_whole_data_is_the_mean_of_its_parts() -> None:
    objective = Classification(Digits(), LINEAR, batch_size=719)
    params = objective.init(seeded(0))
    parts = [
        objective.losses(params, batch)["cross_entropy"] for batch in itertools.islice(objective.batches(seeded(0)), 2)
    ]
    torch.testing.assert_close(objective.losses(params, None)["cross_entropy"], sum(parts) / 2, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 1438])
def test_a_batch_of_everything_is_none(batch_size: int | None) -> None:
    objective = Classification(Digits(), LINEAR, batch_size=batch_size)
    assert list(itertools.islice(objective.batches(seeded(0)), 3)) == [None] * 3
    assert objective.batch_size == 1438


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="batch_size is 5000, but Digits has 1438 training examples"):
        Classification(Digits(), LINEAR, batch_size=5000)
    with pytest.raises(ConfigurationError, match="batch_size is 0, but it must be at least 1"):
        Classification(Digits(), LINEAR, batch_size=0)
    with pytest.raises(ConfigurationError, match=r"l2 is -1\.0, but it must be at least 0"):
        Classification(Digits(), LINEAR, l2=-1.0)
    with pytest.raises(ConfigurationError, match="Diabetes has numbers for targets"):
        Classification(Diabetes(), LINEAR)
    with pytest.raises(ConfigurationError, match="Digits has classes for targets"):
        Regression(Digits(), LINEAR)


def test_digits_are_learned() -> None:
    objective = Classification(Digits(), MLP(hidden=[128, 64]), batch_size=128).to(torch.float32, torch.device("cpu"))
    params = {name: x.float().requires_grad_() for name, x in objective.init(seeded(0)).items()}
    optimizer = torch.optim.Adam(params.values(), lr=1e-3)
    for batch in itertools.islice(objective.batches(seeded(0)), 600):
        optimizer.zero_grad()
        objective.losses(params, batch)["cross_entropy"].backward()
        optimizer.step()
    assert objective.evaluate(params)["accuracy"].item() >= 0.97
