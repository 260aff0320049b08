"""A real directory, by python-ldap. No wait is longer than SECONDS, and a connection's whole life no longer than WHOLE.

libldap itself knows threads; a connection is one thread's. Nothing here is kept between requests: a directory is often behind a balancer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import ldap
from ldap.controls import SimplePagedResultsControl

from common.clock import Deadline
from identity.engine.ldap_types import GUID, DirectoryAway, Entry, Scope, Settings

SECONDS, WHOLE = 5.0, 60.0
PAGE = 500
RANGED = re.compile(r"([^;]+);range=(\d+)-(\d+|\*)")
SCOPES = {"base": ldap.SCOPE_BASE, "one": ldap.SCOPE_ONELEVEL, "sub": ldap.SCOPE_SUBTREE}
CERTIFICATES = {"demand": ldap.OPT_X_TLS_DEMAND, "allow": ldap.OPT_X_TLS_ALLOW, "never": ldap.OPT_X_TLS_NEVER}
ALIASES = {"never": ldap.DEREF_NEVER, "searching": ldap.DEREF_SEARCHING, "finding": ldap.DEREF_FINDING, "always": ldap.DEREF_ALWAYS}
# The answers to a bind that are about the one who binds; every other one is about the directory.
REFUSALS = (
    ldap.INVALID_CREDENTIALS, ldap.NO_SUCH_OBJECT, ldap.INVALID_DN_SYNTAX, ldap.INAPPROPRIATE_AUTH, ldap.UNWILLING_TO_PERFORM,
    ldap.INSUFFICIENT_ACCESS, ldap.CONSTRAINT_VIOLATION,
)  # fmt: skip


@contextmanager
def connect(settings: Settings) -> Iterator[Server]:
    """A connection bound as the service, or anonymous where no user is set. Raises DirectoryAway."""
    server = Server(settings)
    try:
        yield server
    finally:
        server.close()


class Server:
    """One connection to a directory."""

    def __init__(self, settings: Settings) -> None:
        """Connects and binds. Raises DirectoryAway."""
        self._settings, self._deadline = settings, Deadline(WHOLE)
        try:
            self._ldap = self._bound(settings.user or "", (settings.password or "") if settings.user else "")
        except REFUSALS as error:
            raise DirectoryAway(f"{settings.url}: the user of the settings is refused: {_why(error)}") from None

    def _bound(self, dn: str, password: str) -> Any:
        """A connection bound as `dn`, to the first of the servers that answers. Raises DirectoryAway; of REFUSALS the first, as it came."""
        told: list[str] = []
        urls = re.split(r"[\s,]+", self._settings.url.strip())
        for url in random.sample(urls, len(urls)) if self._settings.randomize_urls else urls:
            opened = None
            try:
                opened = self._open(url)
                opened.simple_bind_s(dn, password)
                return opened
            except (ldap.LDAPError, ValueError) as error:
                _close(opened)
                if isinstance(error, REFUSALS):
                    raise
                told.append(f"{url}: {_why(error)}")
        raise DirectoryAway("; ".join(told))

    def _open(self, url: str) -> Any:
        wait = min(SECONDS, self._settings.connection_timeout) if self._settings.connection_timeout > 0 else SECONDS
        opened = ldap.initialize(url)
        opened.protocol_version = ldap.VERSION3
        opened.set_option(ldap.OPT_NETWORK_TIMEOUT, wait)
        opened.set_option(ldap.OPT_TIMEOUT, SECONDS)
        opened.timeout = SECONDS
        if self._settings.alias_dereferencing in ALIASES:
            opened.set_option(ldap.OPT_DEREF, ALIASES[self._settings.alias_dereferencing])
        # A referral would be followed anonymously, to wherever the directory says; only by the operator's word.
        opened.set_option(ldap.OPT_REFERRALS, int(bool(self._settings.chase_referrals)))
        if self._settings.use_tls or url.lower().startswith("ldaps:"):
            self._set_tls(opened)
        if self._settings.use_tls and not url.lower().startswith("ldaps:"):
            opened.start_tls_s()
        return opened

    def _set_tls(self, opened: Any) -> None:
        # Without this a server that takes the connection and then is silent holds the thread for ever: the handshake knows no other timeout.
        opened.set_option(ldap.OPT_CONNECT_ASYNC, 1)
        opened.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, CERTIFICATES[self._settings.tls_req_cert])
        if self._settings.tls_cacertfile:
            opened.set_option(ldap.OPT_X_TLS_CACERTFILE, self._settings.tls_cacertfile)
        elif self._settings.tls_cacertdir:
            opened.set_option(ldap.OPT_X_TLS_CACERTDIR, self._settings.tls_cacertdir)
        opened.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # last: it puts the others into force

    def search(self, base: str, scope: Scope, filter: str, attributes: Sequence[str]) -> list[Entry]:
        """See `Connection.search`; page by page, for directories that give no more than so many entries at once."""
        page = SimplePagedResultsControl(criticality=False, size=self._settings.page_size or PAGE, cookie=b"")
        found: list[Entry] = []
        try:
            while not self._deadline.passed:
                found += self._page(page, base, scope, filter, attributes)
                if not page.cookie:
                    return [self._whole(entry) for entry in found]
        except ldap.NO_SUCH_OBJECT:
            if scope == "base":
                return []
            raise DirectoryAway(f"{self._settings.url}: {base} is not there, or its reader may not see it") from None
        except (ldap.LDAPError, ValueError) as error:
            raise DirectoryAway(f"{self._settings.url}: search in {base}: {_why(error)}") from None
        raise DirectoryAway(f"{self._settings.url}: a search in {base} takes longer than {WHOLE:.0f} s")

    def _page(self, page: Any, base: str, scope: Scope, filter: str, attributes: Sequence[str]) -> list[Entry]:
        """The next entries; `page` then says whether there are more."""
        message = self._ldap.search_ext(base, SCOPES[scope], filter, list(attributes), serverctrls=[page], timeout=SECONDS)
        _, entries, _, controls = self._ldap.result3(message, timeout=SECONDS)
        page.cookie = next((each.cookie for each in controls if each.controlType == page.controlType), b"")
        return [_entry(dn, values) for dn, values in entries if dn is not None]  # None: a referral

    def _whole(self, entry: Entry) -> Entry:
        """The entry with all values of each attribute: Active Directory gives 1,500 at once, and says which (MS-ADTS 3.1.1.3.1.3.3)."""
        names = {found[1] for name in entry.attributes if (found := RANGED.fullmatch(name))}
        values = {name: each for name, each in entry.attributes.items() if not RANGED.fullmatch(name)}
        for name in names:
            first, last = self._part(entry, name, 0)
            values[name] = (*first, *self._rest(entry.dn, name, last))
        return Entry(entry.dn, values) if names else entry

    def _part(self, entry: Entry, name: str, start: int) -> tuple[Sequence[bytes], int | None]:
        """The values that begin with number `start`, and the number of the last of them; None: there are no more. An empty part may only repeat a question."""
        parts = [(values, found) for key, values in entry.attributes.items() if (found := RANGED.fullmatch(key)) and found[1] == name]
        values, found = max(parts, key=lambda part: len(part[0]), default=((), None))
        last = start + len(values) - 1
        if found is None or int(found[2]) != start or (found[3] != "*" and (not values or int(found[3]) != last)):
            raise DirectoryAway(f"{self._settings.url}: {name} of {entry.dn} comes in parts that do not follow each other")
        return values, None if found[3] == "*" else last

    def _rest(self, dn: str, name: str, last: int | None) -> Iterator[bytes]:
        """The values of an attribute after number `last`."""
        while last is not None:
            if self._deadline.passed:
                raise DirectoryAway(f"{self._settings.url}: to read {name} of {dn} takes longer than {WHOLE:.0f} s")
            wanted = f"{name};range={last + 1}-*"
            try:
                found = self._ldap.search_ext_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", [wanted], timeout=SECONDS)
            except ldap.NO_SUCH_OBJECT:
                found = []
            entries = [_entry(dn, values) for dn, values in found if dn is not None]
            values, last = self._part(entries[0] if entries else Entry(dn, {}), name, last + 1)
            yield from values

    def accepts(self, dn: str, password: str) -> bool:
        """See `Connection.accepts`."""
        if not dn or not password:  # a bind without either succeeds as nobody (RFC 4513, section 5.1.2)
            return False
        try:
            other = self._bound(dn, password)
        except REFUSALS:
            return False
        _close(other)
        return True

    def close(self) -> None:
        """Hang up."""
        _close(self._ldap)


def _close(connection: Any) -> None:
    if connection is not None:
        with suppress(ldap.LDAPError):
            connection.unbind_ext_s()


def _entry(dn: str, values: dict[str, list[bytes]]) -> Entry:
    return Entry(dn, {name.lower(): tuple(map(_guid, each)) if name.lower() == GUID else tuple(each) for name, each in values.items()})


def _guid(value: bytes) -> bytes:
    """A GUID as text."""
    return str(UUID(bytes_le=value)).encode() if len(value) == 16 else value


def _why(error: Exception) -> str:
    """What libldap says, without what was sent."""
    told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = [str(told[key]) for key in ("desc", "info") if told.get(key)]
    return f"{type(error).__name__}: {', '.join(words) or 'no reason given'}"
