"""The one exception that a user may cause."""


class FewmarkError(Exception):
    """Bad input, a missing file, an unusable device: something that the user can mend.

    The message says what was wrong, where, and what to do, in that order. The command prints it without a traceback
    and exits with code 2; the window shows it in a dialog. Programming errors are never wrapped in it.
    """
