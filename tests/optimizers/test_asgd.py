import pytest
import torch

from descend.optimizers.asgd import ASGD


@pytest.mark.parametrize("t0", [0.0, 4.0, 1e6])
def test_the_average_is_that_of_torch(t0: float) -> None:
    generator = torch.Generator("cpu").manual_seed(2)
    gradients = torch.randn(20, 3, generator=generator, dtype=torch.float64, device="cpu")
    leaf = torch.ones(3, dtype=torch.float64, device="cpu", requires_grad=True)
    params = {"x": leaf.detach().clone()}
    optimizer, twin = ASGD(lr=0.1, lambd=0.0, t0=t0), torch.optim.ASGD([leaf], lr=0.1, lambd=0.0, t0=t0)
    state = optimizer.init(params)
    for g in gradients:
        leaf.grad = g.clone()
        twin.step()
        params, state = optimizer.step(params, {"x": g}, state, lambda params: params["x"].sum())
        # The twin keeps its weights of the average in float32.
        torch.testing.assert_close(state["average"]["x"], twin.state[leaf]["ax"], rtol=1e-6, atol=1e-6)
    assert torch.equal(state["average"]["x"], params["x"]) == (t0 == 1e6)
