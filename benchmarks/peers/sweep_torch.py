"""Adam on Rosenbrock-2 over many learning rates as one would write it in PyTorch: one loop after the other.

python benchmarks/peers/sweep_torch.py <runs> <steps> <file for the losses>
"""

import sys

import numpy as np
import torch


def main() -> None:
    runs, steps, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    losses = torch.empty(runs, steps, dtype=torch.float64)
    for i, lr in enumerate(np.geomspace(1e-4, 1, runs)):
        x = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([x], lr=lr)
        for step in range(steps):
            optimizer.zero_grad()
            loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
            loss.backward()
            optimizer.step()
            losses[i, step] = loss.detach()
    np.save(path, losses.numpy())


if __name__ == "__main__":
    main()
