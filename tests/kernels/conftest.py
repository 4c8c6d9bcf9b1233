from . import interpreter  # noqa: F401  before any kernel is defined
