"""A server as libvirt's domain XML, and a domain's XML as facts; pure, so what QEMU is asked for can be read in a test.

Source: https://libvirt.org/formatdomain.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from compute.agent.document import Disk, Nic, Server
from compute.agent.limits import LIMITS, Limits
from compute.agent.observed import Mark, ObservedDisk, Phase, domain_name

NAMESPACE = "urn:wolke:server:1"
TAG = f"{{{NAMESPACE}}}server"
SPARE_PORTS = 16  # q35 plugs a disk into a root port that is there from the start
ET.register_namespace("wolke", NAMESPACE)

DiskSource = Callable[[Disk], ET.Element]


@dataclass(frozen=True, slots=True)
class Ceph:
    """How QEMU reaches the cluster: librbd reads the monitors from `conf`, the key is a secret that libvirt holds."""

    conf: str
    user: str
    secret_uuid: str

    def source(self, disk: Disk) -> ET.Element:
        """The `<source>` of a disk on RBD."""
        source = ET.Element("source", protocol="rbd", name=f"{disk.pool}/{disk.image}")
        ET.SubElement(source, "config", file=self.conf)
        auth = ET.SubElement(source, "auth", username=self.user)
        ET.SubElement(auth, "secret", type="ceph", uuid=self.secret_uuid)
        return source


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes domain XML for one host."""

    virt_type: str  # "kvm" or "qemu"
    disk_source: DiskSource
    console: Callable[[str], Path]

    def domain(self, server: Server, mark: Mark) -> str:
        """The whole domain. The name and UUID derive from the server's id, so a half-done start is found again."""
        domain = ET.Element("domain", type=self.virt_type)
        _text(domain, "name", domain_name(server.id))
        _text(domain, "uuid", server.id)
        _text(domain, "title", "".join(c if c.isprintable() else " " for c in server.name))
        ET.SubElement(domain, "metadata").append(mark_element(mark))
        _text(domain, "memory", str(server.memory_mib), unit="MiB")
        _text(domain, "vcpu", str(server.vcpus))
        _machine(domain, server.id)
        if self.virt_type == "kvm":
            ET.SubElement(domain, "cpu", mode="host-model")
        clock = ET.SubElement(domain, "clock", offset="utc")
        ET.SubElement(clock, "timer", name="pit", tickpolicy="delay")
        ET.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
        ET.SubElement(clock, "timer", name="hpet", present="no")
        for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
            _text(domain, f"on_{event}", action)
        self._devices(ET.SubElement(domain, "devices"), server)
        return ET.tostring(domain, encoding="unicode")

    def disk(self, disk: Disk) -> ET.Element:
        """One `<disk>`, found again by its alias."""
        source = self.disk_source(disk)
        element = ET.Element("disk", type="network" if source.get("protocol") else "file", device="disk")
        ET.SubElement(element, "driver", name="qemu", type="raw", cache="writeback", discard="unmap")
        element.append(source)
        ET.SubElement(element, "target", dev=disk.device, bus="virtio")
        if any(disk.limits.as_dict().values()):
            tune = ET.SubElement(element, "iotune")
            for name, value in disk.limits.as_dict().items():
                if value:
                    _text(tune, name, str(value))
        _text(element, "serial", disk.serial)
        ET.SubElement(element, "alias", name=f"ua-{disk.id}")
        if disk.boot:
            ET.SubElement(element, "boot", order="1")
        return element

    def _devices(self, devices: ET.Element, server: Server) -> None:
        fixed = len(server.present_disks) + len(server.nics) + 2  # rng and balloon take a port each
        ET.SubElement(devices, "controller", type="pci", model="pcie-root")
        for _ in range(fixed + SPARE_PORTS):
            ET.SubElement(devices, "controller", type="pci", model="pcie-root-port")
        ET.SubElement(devices, "controller", type="usb", model="none")
        for disk in server.present_disks:
            devices.append(self.disk(disk))
        for nic in server.nics:
            devices.append(_interface(nic))
        serial = ET.SubElement(devices, "serial", type="pty")
        ET.SubElement(serial, "log", file=str(self.console(server.id)), append="on")
        ET.SubElement(serial, "target", port="0")
        video = ET.SubElement(devices, "video")
        ET.SubElement(video, "model", type="vga", vram="16384", heads="1")
        rng = ET.SubElement(devices, "rng", model="virtio")
        _text(rng, "backend", "/dev/urandom", model="random")
        ET.SubElement(devices, "memballoon", model="virtio", freePageReporting="on")


def _machine(domain: ET.Element, server_id: str) -> None:
    os = ET.SubElement(domain, "os")
    _text(os, "type", "hvm", arch="x86_64", machine="q35")
    ET.SubElement(os, "smbios", mode="sysinfo")
    system = ET.SubElement(ET.SubElement(domain, "sysinfo", type="smbios"), "system")
    # cloud-init looks for its metadata service where the product is called so.
    entries = {"manufacturer": "Wolke", "product": "OpenStack Compute", "serial": server_id, "uuid": server_id, "family": "Virtual Machine"}
    for name, value in entries.items():
        _text(system, "entry", value, name=name)
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")


def _interface(nic: Nic) -> ET.Element:
    interface = ET.Element("interface", type="ethernet")
    ET.SubElement(interface, "mac", address=nic.mac)
    ET.SubElement(interface, "target", dev=nic.tap, managed="no")  # the agent has made and fenced it
    ET.SubElement(interface, "model", type="virtio")
    # The userspace datapath forwards frames as they are: a checksum left to the NIC would never be filled in.
    driver = ET.SubElement(interface, "driver", name="qemu")
    off = dict.fromkeys(("csum", "tso4", "tso6", "ecn", "ufo"), "off")
    ET.SubElement(driver, "host", {"gso": "off", "mrg_rxbuf": "off", **off})
    ET.SubElement(driver, "guest", off)
    ET.SubElement(interface, "alias", name=f"ua-{nic.port_id}")
    return interface


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def mark_element(mark: Mark, tag: str = TAG) -> ET.Element:
    """The element that says to which desired state the domain was brought; `setMetadata` wants its tag bare and adds the namespace."""
    return ET.Element(
        tag,
        epoch=str(mark.epoch),
        generation=str(mark.generation),
        reboots=str(mark.reboots),
        phase=mark.phase.value,
        started_at=mark.started_at,
    )


def read_mark(root: ET.Element) -> Mark | None:
    """The mark of a domain's XML; None for a domain that is not ours, or whose mark someone has spoilt."""
    element = root.find(f"metadata/{TAG}")
    if element is None:
        return None
    try:
        return Mark(
            epoch=int(element.get("epoch", "0")),
            generation=int(element.get("generation", "0")),
            reboots=int(element.get("reboots", "0")),
            phase=Phase(element.get("phase", Phase.STARTED.value)),
            started_at=element.get("started_at", ""),
        )
    except ValueError:
        return None


def read_disks(root: ET.Element, *, live: bool) -> Mapping[str, ObservedDisk]:
    """The disks of a domain's XML that carry our alias, by id."""
    disks = {}
    for disk_id, device, element in _disks(root):
        if disk_id is not None:
            limits = Limits.of({name: element.findtext(f"iotune/{name}") for name in LIMITS})
            disks[disk_id] = ObservedDisk(disk_id, device, limits, live)
    return disks


def read_foreign_disks(root: ET.Element) -> frozenset[str]:
    """The devices of a domain's XML that are disks without our alias: someone else put them there."""
    return frozenset(device for disk_id, device, _ in _disks(root) if disk_id is None)


def _disks(root: ET.Element) -> Iterator[tuple[str | None, str, ET.Element]]:
    """Id (None: not ours), device and element of each disk."""
    for element in root.iterfind("devices/disk"):
        alias, target = element.find("alias"), element.find("target")
        name = alias.get("name", "") if alias is not None else ""
        if target is not None:
            yield name[3:] if name.startswith("ua-") else None, target.get("dev", ""), element
