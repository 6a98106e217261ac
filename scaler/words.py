"""Text as it may be printed: what comes from elsewhere, and numbers of things."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without control characters and halves of characters, which would steer a terminal.

    Names of files can hold any of them: they are shown as ``\\x1b``. Line breaks and tabs stay.
    """
    return "".join(character if _harmless(character) else _escaped(character) for character in text)


def one_line(text: str) -> str:
    """The same on one line: breaks are shown too."""
    return printable(text).replace("\n", "\\n").replace("\t", " ")


def counted(count: int, noun: str) -> str:
    """``1 epoch``, ``4 epochs``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _harmless(character: str) -> bool:
    return character in "\n\t" or character.isprintable()


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
