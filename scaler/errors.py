"""The two kinds of failure that Scaler reports in one sentence, without a traceback."""


class UserError(ValueError):
    """Wrong use: the message says what is wrong, where, and how to mend it. Exit code 2."""


class PassedOverWarning(UserWarning):
    """Something broken was left out, and what was asked for goes on without it: the message names it."""


class MachineError(RuntimeError):
    """The machine failed (a full disk, a lost worker), not the user. Exit code 1."""
