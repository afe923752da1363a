"""A lab bench for derivatives and optimizers in PyTorch, driven by a YAML menu."""
