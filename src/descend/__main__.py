"""`python -m descend`: the same as the command `descend`."""

from descend.cli import main

if __name__ == "__main__":
    main()
