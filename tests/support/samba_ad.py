"""An Active Directory of the test run's own: Samba's domain controller, of which only LDAP runs, on an address of 127.0.0.0/8 and in a folder of its own."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import ldap

from identity.engine.ldap_types import Settings

SUFFIX = "dc=ad,dc=wolke,dc=test"
READER, READER_PASSWORD, PASSWORD = f"cn=Administrator,cn=Users,{SUFFIX}", "Read-me.1", "Secret-word.1"
PEOPLE, GROUPS = f"ou=People,{SUFFIX}", f"ou=Groups,{SUFFIX}"
CONF = """
[global]
workgroup = ADW
realm = AD.WOLKE.TEST
netbios name = DC1
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = yes
ldap server require strong auth = no
tls enabled = no
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
log file = {folder}/log
posix:eadb = {folder}/eadb.tdb
"""
# As docs/runbook/ldap.md says.
READ: dict[str, object] = {
    "user": READER, "password": READER_PASSWORD, "suffix": SUFFIX, "user_tree_dn": PEOPLE, "group_tree_dn": GROUPS,
    "user_objectclass": "person", "user_id_attribute": "objectGUID", "user_name_attribute": "sAMAccountName",
    "user_enabled_attribute": "userAccountControl", "user_enabled_mask": 2, "user_enabled_default": "512",
    "group_objectclass": "group", "group_id_attribute": "objectGUID", "group_name_attribute": "sAMAccountName",
}  # fmt: skip


class SambaAd:
    """A running domain controller; `settings(…)` reaches it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = folder, None
        self.address = "127." + ".".join(str(random.SystemRandom().randint(2, 250)) for _ in range(3))

    def start(self) -> None:
        """Make the domain, start its LDAP server, and wait for it."""
        conf = self.folder / "smb.conf"
        conf.write_text(CONF.format(folder=self.folder, address=self.address))
        make = [
            "samba-tool", "domain", "provision", "-s", str(conf), "--targetdir", str(self.folder), "--realm=AD.WOLKE.TEST", "--domain=ADW",
            "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", f"--host-ip={self.address}", f"--adminpass={READER_PASSWORD}",
        ]  # fmt: skip
        with (self.folder / "said").open("wb") as said:
            subprocess.run(make, check=True, stdout=said, stderr=said, stdin=subprocess.DEVNULL, timeout=300)
            conf.write_text(CONF.format(folder=self.folder, address=self.address))
            serve = ["setpriv", "--pdeathsig", "TERM", "/usr/sbin/samba", "-F", "--no-process-group", "-M", "single", "-s", str(conf)]
            self.process = subprocess.Popen(serve, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        for _ in range(600):
            with contextlib.suppress(ldap.SERVER_DOWN), self.reader():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError((self.folder / "said").read_text()[-2000:])

    @contextlib.contextmanager
    def reader(self) -> Iterator[ldap.ldapobject.LDAPObject]:
        """A bound connection of python-ldap, that may write too: by the server's socket, where passwords may be set without TLS."""
        connection = ldap.initialize("ldapi://" + str(self.folder / "private/ldapi").replace("/", "%2F"))
        connection.simple_bind_s(READER, READER_PASSWORD)
        try:
            yield connection
        finally:
            connection.unbind_ext_s()

    def add(self, entries: Mapping[str, Mapping[str, Sequence[str | bytes]]]) -> None:
        """Make these entries, in this order."""
        with self.reader() as connection:
            for dn, attributes in entries.items():
                values = {name: [each if isinstance(each, bytes) else each.encode() for each in all] for name, all in attributes.items()}
                connection.add_s(dn, list(values.items()))

    def stop(self) -> None:
        """Stop it, and wait."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def settings(self, **more: object) -> Settings:
        """How to reach and read it."""
        return Settings(**{**READ, "url": f"ldap://{self.address}", **more})  # type: ignore[arg-type]


def person(name: str, *, enabled: bool = True, **more: Sequence[str | bytes]) -> tuple[str, dict[str, Sequence[str | bytes]]]:
    """A user whose password is PASSWORD; its CN is `name` with a sign that a DN minds."""
    control, word = "512" if enabled else "514", f'"{PASSWORD}"'.encode("utf-16-le")
    values = {"objectClass": ["user"], "sAMAccountName": [name], "userAccountControl": [control], "unicodePwd": [word], **more}
    return f"cn={name}\\, {name},{PEOPLE}", values


def group(name: str, *members: str, **more: Sequence[str | bytes]) -> tuple[str, dict[str, Sequence[str | bytes]]]:
    """A group of these DNs, which may be groups."""
    values: dict[str, Sequence[str | bytes]] = {"objectClass": ["group"], "sAMAccountName": [name], "member": list(members), **more}
    return f"cn={name},{GROUPS}", {key: value for key, value in values.items() if value}


@contextlib.contextmanager
def running(entries: Mapping[str, Mapping[str, Sequence[str | bytes]]]) -> Iterator[SambaAd]:
    """A domain controller that holds the entries, below PEOPLE and GROUPS."""
    folder = Path(tempfile.mkdtemp(prefix="wsamba", dir="/tmp"))
    server = SambaAd(folder)
    try:
        server.start()
        server.add({unit: {"objectClass": ["organizationalUnit"]} for unit in (PEOPLE, GROUPS)})
        server.add(entries)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
