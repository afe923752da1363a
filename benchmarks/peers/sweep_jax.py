"""Adam on Rosenbrock-2 over many settings as one would write it in JAX: `jit`, `vmap`, `scan`, optax.

    python benchmarks/peers/sweep_jax.py <runs> <steps> <lr | betas> <file for the losses> <stride> [warm]

The loss of every `stride`-th step is kept. With `warm`, prints the seconds of a second call, when all is compiled.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax


def loss(x: jax.Array) -> jax.Array:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def main() -> None:
    runs, steps, swept, path, stride = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])

    def run(lr: jax.Array, beta: jax.Array) -> jax.Array:
        optimizer = optax.adam(lr, b1=beta if swept == "betas" else 0.9)

        def step(carry: tuple, _: None) -> tuple[tuple, jax.Array]:
            x, state = carry
            value, gradient = jax.value_and_grad(loss)(x)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(x, updates), state), value

        def steps_to_the_next_kept(carry: tuple, _: None) -> tuple[tuple, jax.Array]:
            carry, value = step(carry, None)
            return jax.lax.fori_loop(1, stride, lambda _, carry: step(carry, None)[0], carry), value

        x = jnp.array([-1.2, 1.0])
        several = step if stride == 1 else steps_to_the_next_kept
        return jax.lax.scan(several, (x, optimizer.init(x)), None, length=steps // stride)[1]

    every = jax.jit(jax.vmap(run))
    lrs, betas = jnp.geomspace(1e-4, 1, runs), jnp.linspace(0.8, 0.95, runs)
    np.save(path, np.asarray(every(lrs, betas)))
    if len(sys.argv) > 6:
        began = time.perf_counter()
        np.asarray(every(lrs, betas))
        print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
