"""`python run.py …`: the same as the `descend` command."""

from descend.cli import main

if __name__ == "__main__":
    main()
