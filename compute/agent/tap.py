"""Taps, by the kernel's own calls: made, fenced, brought up, removed. Linux only.

On the userspace datapath OVS reads a tap beside the host's kernel stack, not instead of it: an unfenced tap lets its guest reach the host.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from contextlib import closing
from pathlib import Path

from compute.agent.ports import EngineError

TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU = 0x8913, 0x8914, 0x8922
IFF_UP = 0x1
ALIAS = "wolke:"


def run(*command: str, stdin: str | None = None) -> str:
    """Run a tool of the host and return its output. Raises EngineError with what it said."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"`{' '.join(command)}` failed: {error}") from None
    if done.returncode:
        raise EngineError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout


def names() -> frozenset[str]:
    """The devices of this network namespace."""
    return frozenset(name for _, name in socket.if_nameindex())


def make(name: str, owner: str) -> bool:
    """Have a persistent tap, down, that carries its server's id. True if it was not there before."""
    there = name in names()
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        if not there:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
            fcntl.ioctl(fd, TUNSETPERSIST, 1)
    except OSError as error:
        raise EngineError(f"the tap {name} cannot be made: {error}") from None
    finally:
        os.close(fd)
    if owner_of(name) != owner:
        run("ip", "link", "set", "dev", name, "alias", f"{ALIAS}{owner}")
    return not there


def fence(name: str) -> None:
    """Keep the device's frames from the host's own stack; they still reach OVS, which reads before this hook."""
    chain = f'{{ type filter hook ingress device "{name}" priority 0; policy drop; }}'
    run("nft", "-f", "-", stdin=f"add table netdev wolke\nadd chain netdev wolke {name} {chain}\n")
    no_ipv6(name)


def no_ipv6(name: str) -> None:
    """The host has no address on a guest's wire."""
    knob = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if knob.exists():
        knob.write_text("1")


def up(name: str, mtu: int) -> None:
    """Set the MTU and bring the device up."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as sock:
        try:
            fcntl.ioctl(sock, SIOCSIFMTU, struct.pack("16si20x", name.encode(), mtu))
            raw = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
            flags = struct.unpack("16sH22x", raw)[1] | IFF_UP
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags))
        except OSError as error:
            raise EngineError(f"{name} cannot be brought up with MTU {mtu}: {error}") from None


def remove(name: str) -> None:
    """Remove a device, then its fence; nothing if they are gone."""
    if name in names():
        run("ip", "link", "del", "dev", name)
    # From Linux 6.16 on a chain outlives its device. Adding it first makes the removal one that cannot fail.
    run("nft", "-f", "-", stdin=f"add table netdev wolke\nadd chain netdev wolke {name}\ndelete chain netdev wolke {name}\n")


def owner_of(name: str) -> str | None:
    """The server that a tap was made for; None for a device that is not ours."""
    try:
        alias = Path(f"/sys/class/net/{name}/ifalias").read_text().strip()
    except OSError:
        return None
    return alias.removeprefix(ALIAS) if alias.startswith(ALIAS) else None
