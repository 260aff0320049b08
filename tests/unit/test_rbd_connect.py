"""While the cluster is away, a process's threads fail together and soon, not one after the other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import rados  # type: ignore[import-not-found,unused-ignore]

from common import rbd
from common.rbd import Ceph, StoreError, StoreUnavailable


@pytest.mark.parametrize("error", [rados.TimedOut("slow"), rados.ObjectNotFound("no such user")], ids=type)
def test_threads_do_not_try_in_turn(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    tries: list[dict[str, str]] = []

    class Away:
        def __init__(self, *, conf: dict[str, str], **_: str) -> None:
            tries.append(conf)

        def connect(self) -> None:
            threading.Event().wait(0.1)
            raise error

    monkeypatch.setattr(rados, "Rados", Away)
    monkeypatch.setattr(rbd, "REFUSED_SECONDS", 3600.0)
    ceph = Ceph("/nowhere", "nobody", timeout=20)

    def ask(_: int) -> type[Exception] | None:
        try:
            ceph.info("images", "x")
        except StoreError as refused:
            return type(refused)
        return None

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(8))) == [StoreUnavailable] * 8
    assert [conf["client_mount_timeout"] for conf in tries] == ["10"]
    monkeypatch.setattr(rbd, "REFUSED_SECONDS", 0.0)
    ceph = Ceph("/nowhere", "nobody", timeout=5)
    for _ in range(2):
        assert ask(0) is StoreUnavailable
    assert [conf["client_mount_timeout"] for conf in tries[1:]] == ["5", "5"]
