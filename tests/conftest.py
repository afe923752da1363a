"""Settings shared by every test."""

from hypothesis import settings

# A deadline in milliseconds measures how busy the machine is, not the code.
settings.register_profile("descend", deadline=None)
settings.load_profile("descend")
