"""Why a command came to nothing; each is one line."""


class BadInput(Exception):
    """What was given can't be meant."""


class CommandRefused(Exception):
    """The gateway refused it, or could not be reached."""
