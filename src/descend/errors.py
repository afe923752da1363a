"""What can go wrong, each kind with a class of its own."""


class ConfigurationError(ValueError):
    """The configuration cannot be run as it stands; raised before the first step. The command line exits with 2.

    The message is a whole sentence: what was found, what was expected, what to do.
    """


class Untraceable(RuntimeError):
    """A step cannot be recorded as tensor operations; the message says why. The `python` backend runs it anyway."""
