"""The errors that oneiro raises on purpose: one line that names the thing and says what to do."""


class OneiroError(Exception):
    """Any error meant for the user; the command line prints it as one line.

    What cannot be printed, such as a line break in the name of a node, is escaped.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class ModelError(OneiroError, ValueError):
    """A model file, or a node in it, that cannot be used."""


class PictureError(OneiroError, ValueError):
    """A picture, or a recipe, that cannot be read, converted or written."""


class ArgumentError(OneiroError, ValueError):
    """An argument that makes no sense, alone or for this network."""


def printable(text: str) -> str:
    """A line whose words may be a stranger's, with escapes for what would control the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
