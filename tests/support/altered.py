"""Texts that are not quite what was signed."""

from __future__ import annotations


def altered(text: str, at: int) -> str:
    """The text with another letter at `at`: never the same one, and none of the last, of which base64 may leave bits unread."""
    assert 4 < at % len(text) < len(text) - 4, "a letter in the middle"
    at %= len(text)
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
