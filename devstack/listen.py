#!/usr/bin/python3
"""listen.py NAME:PORT… -- COMMAND…: bind 127.0.0.1:PORT here, then become COMMAND with the sockets handed over.

The protocol is systemd's (sd_listen_fds(3)): descriptors from 3 on, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES. A socket
stays in the network namespace that made it, so COMMAND may enter another one and still answer here.
"""

import os
import socket
import sys

FIRST = 3
BACKLOG = 512


def bind(port: int) -> socket.socket:
    """A listening TCP socket on 127.0.0.1:port; SystemExit with a sentence when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        raise SystemExit(f"127.0.0.1:{port}: {error.strerror}; who listens there? ss -ltnp") from error
    listener.listen(BACKLOG)
    return listener


def hand_over(listeners: list[socket.socket]) -> None:
    """Place the listeners on the descriptors 3, 4, … and let them survive exec."""
    # first out of the way: a listener may sit on a number that another one is about to take
    spare = [os.dup(listener.detach()) for listener in listeners]
    high = [os.dup2(fd, FIRST + len(spare) + 64 + n) for n, fd in enumerate(spare)]
    for n, fd in enumerate(high):
        os.dup2(fd, FIRST + n, inheritable=True)
        os.close(fd)


def main(arguments: list[str]) -> None:
    if "--" not in arguments or not arguments[arguments.index("--") + 1 :]:
        raise SystemExit(__doc__)
    split = arguments.index("--")
    pairs = [argument.rsplit(":", 1) for argument in arguments[:split]]
    hand_over([bind(int(port)) for _, port in pairs])
    os.environ |= {
        "LISTEN_FDS": str(len(pairs)),
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDNAMES": ":".join(name for name, _ in pairs),
    }
    command = arguments[split + 1 :]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
