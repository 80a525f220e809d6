"""Why a command came to nothing; each is one line."""


class BadInput(Exception):
    """A mistake on the command line."""


class CommandRefused(Exception):
    """The gateway refused it, or could not be reached."""
