"""`wolke-agent`: puts the parts together and runs them until SIGTERM. One runs on each hypervisor."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading

from common import log
from common.clock import boottime
from common.config import CONF, load
from compute.agent import ceph
from compute.agent.consoles import FileConsoles
from compute.agent.document import Document
from compute.agent.domain_xml import Builder, Ceph
from compute.agent.loop import Agent
from compute.agent.observe import Host
from compute.agent.probe import virt_type
from compute.agent.protocol import Courier
from compute.agent.state import AlreadyRunning, StateDir

LOG = logging.getLogger(__name__)
ENDS = (signal.SIGTERM, signal.SIGINT)
STOP_S = 30.0  # for the actions in hand


def main() -> None:
    """Run the agent; with `--generate-key` print the host's id and public key, a line each, and end."""
    asked, rest = _arguments().parse_known_args()
    load(rest, program="wolke-agent")
    log.setup("wolke-agent", CONF.log_level)
    state = StateDir(CONF.state_path)
    try:
        identity = state.identity()
        if asked.generate_key:
            print(identity.host_id, identity.public_key, sep="\n")
            return
        state.lock()
    except (AlreadyRunning, ValueError, OSError) as error:
        sys.exit(f"wolke-agent: {error}")
    _run(state)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wolke-agent", add_help=False, allow_abbrev=False)
    parser.add_argument("--generate-key", action="store_true")
    return parser


def _run(state: StateDir) -> None:
    from common import bus as buses
    from common import metrics
    from compute.agent.rpc import BusController

    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # every thread inherits it; a handler could fall into a lock that its thread holds
    metrics.serve(CONF.api.metrics_port)
    identity = state.identity()
    consoles = FileConsoles(state.console_dir)
    bus = buses.connect("agent")
    courier = Courier(BusController(bus), identity, CONF.host, clock=boottime, tick_s=CONF.agent.tick_seconds)
    size = ceph.Size(lambda: ceph.size_gib(CONF.ceph.conf, CONF.ceph.user))
    agent = Agent(
        _host(consoles),
        courier,
        clock=boottime,
        address=CONF.agent.address,
        hostname=socket.gethostname(),
        shutdown_s=CONF.agent.shutdown_seconds,
        tick_s=CONF.agent.tick_seconds,
        disk_gib=size.gib,
        on_step=consoles.trim,
    )
    size.on_change = agent.look
    courier.on_document = _Keeper(state, agent).take
    bus.listen(f"host.{identity.host_id}", courier.wake)
    threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in (("courier", courier.run), ("agent", agent.run))]
    for thread in threads:
        thread.start()
    LOG.info("host %s (%s), process %d", CONF.host, identity.host_id, os.getpid())
    signal.sigwait(ENDS)
    agent.stop()
    threads[1].join(STOP_S)
    LOG.info("ended; guests run on")
    os._exit(0)  # threads of libraries that wait for the broker or libvirt would hold the process


class _Keeper:
    """Keeps each new document on disk, for wolke-metadata, before anything is done about it."""

    def __init__(self, state: StateDir, agent: Agent) -> None:
        self._state = state
        self._agent = agent
        self._digest = ""

    def take(self, document: Document) -> None:
        if self._digest != document.digest:
            self._state.save_plan(document.raw)
            self._digest = document.digest
            self._agent.look()


def _host(consoles: FileConsoles) -> Host:
    from compute.agent.libvirt import LibvirtHypervisor, define_ceph_secret
    from compute.agent.netns import NetworkNamespaces
    from compute.agent.ovsdb import Ovsdb
    from compute.agent.switch import OvsSwitch

    conf, user = CONF.ceph.conf, CONF.ceph.user
    secret = ceph.secret_uuid(conf, user)
    builder = Builder(virt_type(CONF.agent.virt_type), Ceph(conf, user, secret).source, consoles.path)

    def connected(connection: object) -> None:
        try:
            define_ceph_secret(connection, secret, user, ceph.key(conf, user))
        except ceph.CephError as error:  # the guests that run need none; those that start will say so
            LOG.error("%s", error)

    ovsdb = Ovsdb(CONF.agent.ovs_db, CONF.agent.integration_bridge)
    hypervisor = LibvirtHypervisor(CONF.agent.libvirt_uri, builder, connected)
    return Host(hypervisor, OvsSwitch(ovsdb), NetworkNamespaces(ovsdb), consoles)


if __name__ == "__main__":
    main()
