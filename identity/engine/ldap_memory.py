"""A directory in memory, for tests: the same answers as a real one to what `ldap_directory` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from identity.engine.ldap_types import DirectoryAway, Entry, Scope, Settings, names_of, unescape

Test = Callable[[Entry], bool]


class Memory:
    """`entries`: DN → attribute → values, of which userPassword opens the door. `away`: it does not answer."""

    def __init__(self, entries: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self.entries = {dn: {name: list(values) for name, values in attributes.items()} for dn, attributes in entries.items()}
        self.away = False
        self.asked = 0
        self.binds: list[str] = []

    @contextmanager
    def connect(self, settings: Settings) -> Iterator[Memory]:
        """A connection, bound as the service. Raises DirectoryAway."""
        self._answer()
        if settings.user and not self._opens(settings.user, settings.password or ""):
            raise DirectoryAway(f"{settings.url}: INVALID_CREDENTIALS")
        yield self

    def _answer(self) -> None:
        if self.away:
            raise DirectoryAway("memory: it does not answer")
        self.asked += 1

    def _opens(self, dn: str, password: str) -> bool:
        found = next((attributes for name, attributes in self.entries.items() if names_of(name) == names_of(dn)), {})
        return bool(password) and password in found.get("userPassword", ())

    def accepts(self, dn: str, password: str) -> bool:
        """See `Connection.accepts`."""
        self._answer()
        self.binds.append(dn)
        return self._opens(dn, password)

    def search(self, base: str, scope: Scope, filter: str, attributes: Sequence[str]) -> list[Entry]:
        """See `Connection.search`."""
        self._answer()
        top, test = names_of(base), parse(filter)
        names = {dn: names_of(dn) for dn in self.entries}
        if scope != "base" and top not in names.values():
            raise DirectoryAway(f"memory: {base} is not there, or its reader may not see it")
        wanted = {name.lower() for name in attributes}
        found = (self._entry(dn) for dn, parts in names.items() if _within(parts, top, scope))
        return [_only(entry, wanted) for entry in found if test(entry)]

    def _entry(self, dn: str) -> Entry:
        return Entry(dn, {name.lower(): tuple(value.encode() for value in values) for name, values in self.entries[dn].items()})


def _only(entry: Entry, wanted: set[str]) -> Entry:
    return Entry(entry.dn, {name: values for name, values in entry.attributes.items() if name in wanted})


def _within(parts: tuple[object, ...], top: tuple[object, ...], scope: Scope) -> bool:
    depth = len(parts) - len(top)
    return parts[depth:] == top and depth >= 0 and (depth == 0 if scope == "base" else depth == 1 if scope == "one" else True)


def parse(text: str) -> Test:
    """A filter (RFC 4515) as a test of an entry: and, or, not, equality, presence, substrings. Raises DirectoryAway for another."""
    test, rest = _filter(text)
    if rest:
        raise DirectoryAway(f"memory: FILTER_ERROR: {rest!r} is left over")
    return test


def _filter(text: str) -> tuple[Test, str]:
    if not text.startswith("("):
        raise DirectoryAway(f"memory: FILTER_ERROR: {text!r} does not begin with a parenthesis")
    if text[1:2] not in ("&", "|", "!"):
        inside, closed, rest = text[1:].partition(")")
        attribute, equals, value = inside.partition("=")
        if not closed or not equals or "(" in value:
            raise DirectoryAway(f"memory: FILTER_ERROR: {text!r}")
        return _compare(attribute.strip(), value), rest
    tests, rest = [], text[2:]
    while rest.startswith("("):
        test, rest = _filter(rest)
        tests.append(test)
    if not rest.startswith(")"):
        raise DirectoryAway("memory: FILTER_ERROR: a parenthesis stays open")
    kinds: dict[str, Test] = {
        "&": lambda entry: all(test(entry) for test in tests),
        "|": lambda entry: any(test(entry) for test in tests),
        "!": lambda entry: not tests[0](entry),
    }
    return kinds[text[1]], rest[1:]


def _compare(attribute: str, value: str) -> Test:
    if ":" in attribute:
        raise DirectoryAway(f"memory: it does not know the matching rule of {attribute!r}")
    if value == "*":
        return lambda entry: bool(entry.all(attribute))
    pieces = [_plain(unescape(piece)) for piece in value.split("*")]
    if len(pieces) > 1:
        return lambda entry: any(_like(_plain(each), pieces) for each in entry.all(attribute))
    wanted = names_of(unescape(value)) if attribute.lower() == "member" else None
    if wanted is not None:
        return lambda entry: any(names_of(each) == wanted for each in entry.all(attribute))
    return lambda entry: any(_plain(each) == pieces[0] for each in entry.all(attribute))


def _plain(text: str) -> str:
    return text.casefold()


def _like(text: str, pieces: list[str]) -> bool:
    first, *middle, last = pieces
    if not text.startswith(first) or not text[len(first) :].endswith(last):
        return False
    text = text[len(first) : len(text) - len(last)]
    for piece in middle:
        _, found, text = text.partition(piece)
        if piece and not found:
            return False
    return True
