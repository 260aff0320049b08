"""A directory of the test run's own: a real slapd on 127.0.0.1, with its folder, its port and its people; gone at the end.

PEOPLE is what both sides of the contract suite hold: names with every sign that a DN or a filter minds, nested units, disabled people.
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from identity.engine.ldap_types import Settings
from tests.support.tls import write_certificates

SUFFIX = "dc=acme,dc=test"
READER, READER_PASSWORD = f"cn=reader,{SUFFIX}", "read me"
LIMITED = f"cn=limited,{SUFFIX}"
ODD = 'O\'Hara, "Zoë" <a+b>; #=*() \\'
ODD_DN = f'cn=O\'Hara\\, \\"Zoë\\" \\<a\\+b\\>\\; #\\=*() \\\\,ou=Users,{SUFFIX}'
Entries = dict[str, dict[str, list[str]]]


def person(dn: str, cn: str, uid: str, **more: list[str]) -> tuple[str, dict[str, list[str]]]:
    """A user whose password is `pw-` and the uid."""
    classes = ["inetOrgPerson", "wolkeAccount"]
    return dn, {"objectClass": classes, "cn": [cn], "sn": [uid], "uid": [uid], "userPassword": [f"pw-{uid}"], **more}


def group(cn: str, *members: str, **more: list[str]) -> tuple[str, dict[str, list[str]]]:
    """A group of these DNs."""
    return f"cn={cn},ou=Groups,{SUFFIX}", {"objectClass": ["groupOfNames"], "cn": [cn], "member": list(members), **more}


def _dn(name: str, unit: str = "ou=Users") -> str:
    return f"cn={name},{unit},{SUFFIX}"


PEOPLE: Entries = dict([
    (SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": ["acme"], "o": ["Acme"]}),
    *[
        (dn, {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": [cn], "userPassword": [READER_PASSWORD]})
        for dn, cn in ((READER, "reader"), (LIMITED, "limited"))
    ],
    *[(f"ou={unit},{SUFFIX}", {"objectClass": ["organizationalUnit"], "ou": [unit]}) for unit in ("Users", "Groups", "Empty")],
    (f"ou=Far,ou=Users,{SUFFIX}", {"objectClass": ["organizationalUnit"], "ou": ["Far"]}),
    person(_dn("ann"), "ann", "ann", mail=["ann@acme.test", "a@acme.test"], accountControl=["512"], description=["First"]),
    person(_dn("bob"), "bob", "bob", accountControl=["514"], title=["boss"]),
    person(_dn("Cäsar"), "Cäsar", "Cäsar"),
    person(_dn("dan", "ou=Far,ou=Users"), "dan", "dan"),
    person(ODD_DN, ODD, "o'hara*)(uid=*", mail=["o@acme.test"]),
    group("staff", _dn("ann"), "CN=Bob, OU=users, DC=acme, DC=test", description=["All of us"], ou=["Staff"]),
    group("odd", ODD_DN, _dn("gone"), ou=["Odd (*)"]),
    group("enabled", _dn("ann"), ou=["Enabled"]),
    (f"cn=posix,ou=Groups,{SUFFIX}", {
        "objectClass": ["posixGroup"], "cn": ["posix"], "gidNumber": ["100"], "memberUid": ["ann", "bob"], "description": ["by id"],
    }),
])  # fmt: skip

SCHEMA = """
attributetype ( 1.3.6.1.4.1.32473.1.1 NAME 'accountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.32473.2.1 NAME 'wolkeAccount' SUP top AUXILIARY MAY ( accountControl ) )
"""
CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
include {folder}/wolke.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
sizelimit size.soft=20 size.hard=20 size.prtotal=unlimited
database mdb
suffix "{suffix}"
directory {folder}/data
maxsize 33554432
dbnosync
limits dn.exact="{limited}" size.prtotal=50
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=Users,{suffix}" by dn.exact="{reader}" read by dn.exact="{limited}" read by * none
access to * by dn.exact="{reader}" read by dn.exact="{limited}" read by anonymous auth by * none
"""


class Slapd:
    """A running server; `settings(…)` reaches it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = folder, None
        self.port = self.tls_port = 0

    def start(self, entries: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Load the entries, start, and wait for it. A free port may be taken by another process before it is ours: then by others."""
        conf = self._prepare(entries)
        for _ in range(3):
            self.port, self.tls_port = _free_ports()
            if self._listens(conf):
                return
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def _prepare(self, entries: Mapping[str, Mapping[str, Sequence[str]]]) -> Path:
        """Its configuration, and its database with the entries."""
        (self.folder / "data").mkdir()
        write_certificates(self.folder)
        (self.folder / "wolke.schema").write_text(SCHEMA)
        conf = self.folder / "slapd.conf"
        conf.write_text(CONF.format(folder=self.folder, suffix=SUFFIX, reader=READER, limited=LIMITED))
        (self.folder / "people.ldif").write_text(ldif(entries))
        load = ["/usr/sbin/slapadd", "-q", "-f", str(conf), "-l", str(self.folder / "people.ldif")]
        subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
        return conf

    def _listens(self, conf: Path) -> bool:
        """Start it; whether it did not end."""
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "/usr/sbin/slapd", "-d", "0", "-f", str(conf), "-h", urls], stdout=log, stderr=log
            )
        for _ in range(1000):
            if self.process.poll() is not None:
                return False
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
                return True
            time.sleep(0.05)
        self.stop()
        return False

    def stop(self) -> None:
        """Stop it, and wait."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None

    def settings(self, **more: object) -> Settings:
        """How to reach and read it."""
        return Settings(**{**READ, "url": f"ldap://127.0.0.1:{self.port}", **more})  # type: ignore[arg-type]


READ: dict[str, object] = {
    "user": READER, "password": READER_PASSWORD, "suffix": SUFFIX, "user_tree_dn": f"ou=Users,{SUFFIX}", "group_tree_dn": f"ou=Groups,{SUFFIX}",
    "user_name_attribute": "uid", "user_enabled_attribute": "accountControl", "user_enabled_mask": 2, "user_enabled_default": "512",
}  # fmt: skip


def ldif(entries: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """The entries as LDIF (RFC 2849); every value in base64, so that none needs care."""
    lines = []
    for dn, attributes in entries.items():
        lines.append(f"dn:: {_base64(dn)}")
        lines += [f"{name}:: {_base64(value)}" for name, values in attributes.items() for value in values]
        lines.append("")
    return "\n".join(lines)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return int(one.getsockname()[1]), int(other.getsockname()[1])


@contextlib.contextmanager
def running(entries: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Slapd]:
    """A server that holds the entries."""
    folder = Path(tempfile.mkdtemp(prefix="wslapd", dir="/tmp"))
    server = Slapd(folder)
    try:
        server.start(entries)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
