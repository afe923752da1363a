"""The networks of the menu at the size of toys: the same parts, at a hundredth of the cost."""

TOY = {
    "char_gpt": [
        "objective.module.depth=2",
        "objective.module.width=8",
        "objective.module.heads=2",
        "objective.data.context=16",
        "objective.data.test_fraction=0.0005",
    ],
    "mnist_resnet": ["objective.module.widths=[2,4]"],
    "mnist_vit": [
        "objective.module.depth=1",
        "objective.module.width=8",
        "objective.module.heads=2",
        "objective.module.patch=14",
    ],
    "mnist_autoencoder": ["objective.module.widths=[784,8,4]", "objective.batch_size=64"],
    "mnist1d_gru": ["objective.module.width=2", "objective.batch_size=16"],
}


def toy(objective: str) -> list[str]:
    """Return the overrides that make a network small; none for what is small already."""
    if objective not in TOY:
        return []
    few = ["objective.most_evaluated=32"]
    if objective.startswith("mnist_"):
        few.append("objective.data.test_fraction=0.01")
    return [*TOY[objective], *few]
