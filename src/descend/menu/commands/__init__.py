"""The commands beside a run: `descend audit` and `descend guide`."""
