"""RabbitMQ's definitions file from lines `user password [host id]` on standard input.

A controllers' user may do all. A host's may ask on the topic `agents`, and hear what is said to that host and the
answers to what it asked: oslo.messaging's names for queues and exchanges decide the patterns.
"""

import base64
import hashlib
import json
import os
import sys

EXCHANGE = "wolke"


def password_hash(word: str) -> str:
    """RabbitMQ's `rabbit_password_hashing_sha256`: base64(salt + sha256(salt + password))."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + word.encode()).digest()).decode()


def definitions(lines: list[str]) -> dict[str, list[dict[str, str]]]:
    """Users and what each may touch; a host's own names are `host.<id>…` and the queues of its answers."""
    out: dict[str, list[dict[str, str]]] = {"vhosts": [{"name": "/"}], "users": [], "permissions": [], "topic_permissions": []}
    for name, word, *host in (line.split() for line in lines):
        own = rf"^({EXCHANGE}|host\.{host[0]}.*|reply_{name}:.*)$" if host else ".*"
        tags = "" if host else "administrator"
        algorithm = "rabbit_password_hashing_sha256"
        out["users"].append({"name": name, "tags": tags, "password_hash": password_hash(word), "hashing_algorithm": algorithm})
        out["permissions"].append({"user": name, "vhost": "/", "configure": own, "write": own, "read": own})
        if host:
            topics = {"write": "^agents$", "read": rf"^host\.{host[0]}(\..*)?$"}
            out["topic_permissions"].append({"user": name, "vhost": "/", "exchange": EXCHANGE} | topics)
    return out


if __name__ == "__main__":
    json.dump(definitions(sys.stdin.readlines()), sys.stdout)
