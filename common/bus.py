"""RabbitMQ through oslo.messaging: wakes, which say "look" and nothing else, and the agents' questions to a worker.

A message may be lost or come twice; nobody relies on one.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from oslo_service import backend

sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]  # futurist and ovs would load it, 9 MB, wherever it is installed
backend.init_backend(backend.BackendType.THREADING)  # before oslo_messaging is imported: it would choose eventlet's

import oslo_messaging  # noqa: E402
from oslo_messaging.rpc.dispatcher import DefaultRPCAccessPolicy  # noqa: E402

from common import metrics  # noqa: E402
from common.config import CONF  # noqa: E402

LOG = logging.getLogger(__name__)
EXCHANGE = "wolke"
EXECUTORS = 8  # threads that answer; oslo.messaging would start 64, one for each message that comes


class Bus(Protocol):
    """What the rest of the house needs of the bus."""

    def wake(self, *topics: str) -> None:
        """Tell everyone who listens on `topics` to look, soon. Never raises, never blocks."""

    def call(self, topic: str, method: str, *, timeout: float, **arguments: Any) -> Any:
        """Ask whoever serves `topic`; raises BusError when nobody answers in `timeout` seconds."""


class BusError(Exception):
    """No answer came."""


class _Ear:
    """The endpoint that receives wakes."""

    target = oslo_messaging.Target(namespace="wake", version="1.0")

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def look(self, _context: dict[str, Any]) -> None:
        """A wake came."""
        self._look()


class RabbitBus:
    """The bus of one process."""

    def __init__(self, name: str) -> None:
        oslo_messaging.set_transport_defaults(EXCHANGE)
        self._transport = oslo_messaging.get_rpc_transport(CONF)
        self._name = f"{name}-{socket.gethostname()}"
        self._servers: list[Any] = []
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._due: dict[str, None] = {}
        self._woken = threading.Condition()
        threading.Thread(target=self._send, name="bus-wakes", daemon=True).start()

    def _client(self, topic: str, namespace: str | None, *, retry: int | None) -> Any:
        key = f"{topic}/{namespace}/{retry}"
        with self._lock:
            if key not in self._clients:
                target = oslo_messaging.Target(topic=topic, namespace=namespace, version="1.0")
                self._clients[key] = oslo_messaging.get_rpc_client(self._transport, target, retry=retry)
            return self._clients[key]

    def wake(self, *topics: str) -> None:
        """See `Bus.wake`. A thread sends them, so that no answer waits for the broker; those that are due twice are sent once."""
        with self._woken:
            self._due.update(dict.fromkeys(topics))
            self._woken.notify()

    def _send(self) -> None:
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._due)
                due, self._due = self._due, {}
            for topic in due:
                self._cast(topic)

    def _cast(self, topic: str) -> None:
        try:
            self._client(topic, "wake", retry=0).cast({}, "look")
        except Exception as error:  # whatever it is, polling finds the work
            metrics.WAKES_LOST.labels(topic.partition(".")[0]).inc()
            LOG.info("a wake of %s was lost: %s", topic, error)

    def call(self, topic: str, method: str, *, timeout: float, **arguments: Any) -> Any:
        """See `Bus.call`."""
        try:
            return self._client(topic, None, retry=1).prepare(timeout=timeout).call({}, method, **arguments)
        except oslo_messaging.RemoteError as error:
            raise BusError(f"{error.exc_type}: {str(error.value).partition(chr(10))[0]}") from None
        except Exception as error:  # oslo.messaging lets through what the driver raises
            raise BusError(f"{type(error).__name__}: {error}") from error

    def listen(self, topic: str, look: Callable[[], None]) -> None:
        """Call `look` at each wake of `topic`; one listener of several gets it."""
        self.serve(topic, [_Ear(look)])

    def serve(self, topic: str, endpoints: Iterable[object]) -> None:
        """Answer calls on `topic` with the methods of `endpoints`."""
        target = oslo_messaging.Target(topic=topic, server=self._name)
        server = oslo_messaging.get_rpc_server(
            self._transport, target, list(endpoints), executor="threading", access_policy=DefaultRPCAccessPolicy
        )
        CONF.set_default("executor_thread_pool_size", EXECUTORS)  # the option is there from the first server on
        starter = threading.Thread(target=server.start, name=f"bus-{topic}", daemon=True)  # it blocks while the broker is away
        starter.start()
        self._servers.append(server)

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.stop()
        self._transport.cleanup()


class SilentBus:
    """A bus that loses everything; for tests, and for processes that need none."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake(self, *topics: str) -> None:
        """Note the topics."""
        self.woken.extend(topics)

    def call(self, topic: str, method: str, *, timeout: float, **arguments: Any) -> Any:
        """Nobody is there."""
        raise BusError(f"nobody serves {topic}")


def connect(name: str) -> RabbitBus:
    """The bus that the configuration names."""
    return RabbitBus(name)
