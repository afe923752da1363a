"""Mistakes a user can make, told in whole sentences: what was found, what was expected, what to do."""


class ConfigurationError(ValueError):
    """The configuration cannot be run as it stands; raised before the first step. The command line exits with 2."""
