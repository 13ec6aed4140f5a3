"""What wfbt refuses, and how it says so.

A message names the thing, the rule and the value, in words the user typed, and what to do next.
"""


class WfbtError(Exception):
    """Anything wfbt reports in one line instead of a traceback."""

    exit_code = 70


class ConfigError(WfbtError):
    """A strategy file, an option or an argument that cannot be meant."""

    exit_code = 2


class PolicyError(WfbtError):
    """A policy that cannot be loaded, or that returned something that is no intent."""

    exit_code = 2


class LeakError(WfbtError):
    """Something decided with what it could not have known."""

    exit_code = 3


class ArtifactError(WfbtError):
    """A model, or what one made, that cannot be trusted with these rows."""

    exit_code = 3


class LedgerError(WfbtError):
    """A ledger that does not add up."""

    exit_code = 70


class TrialsError(WfbtError):
    """A trial ledger that was edited or cut, or a file that is none."""

    exit_code = 3


class TrialsUnavailable(TrialsError):
    """A trial ledger that cannot be read or written where it is."""

    exit_code = 2


class DataError(WfbtError):
    """Market data that break a rule."""

    exit_code = 5
