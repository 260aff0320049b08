"""RabbitMQ's definitions file from lines `user password` on standard input.

`wolke` administers; a host's user may only speak for that host: see docs/design for the queues' names.
"""

import base64
import hashlib
import json
import os
import sys


def password_hash(word: str) -> str:
    """RabbitMQ's `rabbit_password_hashing_sha256`: base64(salt + sha256(salt + password))."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + word.encode()).digest()).decode()


def definitions(lines: list[str]) -> dict[str, list[dict[str, str]]]:
    users, permissions = [], []
    for name, word in (line.split() for line in lines):
        tags = "administrator" if name == "wolke" else ""
        users.append({"name": name, "tags": tags, "password_hash": password_hash(word), "hashing_algorithm": "rabbit_password_hashing_sha256"})
        permissions.append({"user": name, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"})
    return {"vhosts": [{"name": "/"}], "users": users, "permissions": permissions}


if __name__ == "__main__":
    json.dump(definitions(sys.stdin.readlines()), sys.stdout)
