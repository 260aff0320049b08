"""Every option of Wolke, in one table; nothing else registers any. Who reads one says `CONF.group.name`.

`etc/wolke.conf.sample` is generated from here by oslo.config's generator (entry point `wolke`).
"""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

CONF = cfg.CONF

DEFAULT = [
    cfg.StrOpt("host", default="controller", help="Name of this node in logs and leases."),
    cfg.StrOpt("state_path", default="/var/lib/wolke", help="Directory for what this node's processes keep on disk."),
    cfg.StrOpt("log_level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="Least severe level that is logged."),
]
DATABASE = [
    cfg.StrOpt("connection", secret=True, help="SQLAlchemy URL of PostgreSQL for this process, postgresql+psycopg://…"),
    cfg.StrOpt("owner_connection", secret=True, help="URL for the role that owns the tables; wolke-manage only."),
    cfg.IntOpt("pool_size", default=10, min=1, help="Connections that one process keeps at the most."),
]
API = [
    cfg.StrOpt("bind", default="127.0.0.1", help="Address on which the APIs listen when no socket is handed over."),
    cfg.PortOpt("identity_port", default=5000, help="Port of the identity API."),
    cfg.PortOpt("compute_port", default=8774, help="Port of the compute API."),
    cfg.PortOpt("network_port", default=9696, help="Port of the network API."),
    cfg.PortOpt("volume_port", default=8776, help="Port of the volume API."),
    cfg.PortOpt("image_port", default=9292, help="Port of the image API."),
    cfg.IntOpt("threads", default=8, min=1, help="Requests that one service of one process serves at a time."),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Rows that one page of a list holds at the most."),
    cfg.BoolOpt(
        "enable_proxy_headers_parsing",
        default=False,
        help="Believe X-Forwarded-Proto, -Host and -Prefix, and the last address of X-Forwarded-For; "
        "only behind a proxy that sets them all. Forwarded is never believed.",
    ),
    cfg.PortOpt("metrics_port", default=0, help="Port of 127.0.0.1 with /metrics for processes that serve no API; 0 is none."),
]
IDENTITY = [
    cfg.IntOpt("token_ttl", default=3600, min=1, help="Seconds that a token holds."),
    cfg.IntOpt("password_hash_rounds", default=12, min=4, max=31, help="Cost of bcrypt for passwords that a person chose."),
    cfg.IntOpt("hash_workers", default=0, min=0, help="Threads that hash passwords; 0 is the number of processors."),
    cfg.IntOpt("hash_queue", default=64, min=1, help="Log-ins that wait for a hash at the most; the next gets 429."),
    cfg.FloatOpt("check_cache_seconds", default=0.5, min=0, max=0.5, help="Seconds for which a process remembers a token's check."),
    cfg.StrOpt("credential_key_file", help="Keys that encrypt credentials, the same on all nodes; default: credential-keys in state_path."),
    cfg.IntOpt("lockout_failure_attempts", min=1, help="Wrong passwords in a row after which a user is locked; by default none is."),
    cfg.IntOpt("lockout_duration", default=1800, min=1, help="Seconds that a locked user stays so."),
    cfg.IntOpt(
        "disable_user_account_days_inactive", min=1, help="Days without a log-in after which a user is disabled; by default none is."
    ),
    cfg.IntOpt("password_expires_days", min=1, help="Days after which a password must be changed; by default never."),
    cfg.IntOpt("unique_last_password_count", default=0, min=0, help="Passwords of a user that a new one must differ from; 0 is none."),
    cfg.IntOpt("minimum_password_age", default=0, min=0, help="Days before a user may change the password again."),
    cfg.StrOpt("password_regex", help="What the beginning of a password must match (Python's re); default: anything."),
    cfg.StrOpt("password_regex_description", help="What password_regex means, told to who gave another password."),
    cfg.BoolOpt(
        "change_password_upon_first_use", default=False, help="A password that an administrator set must be changed before it is used."
    ),
    cfg.MultiStrOpt(
        "trusted_dashboard",
        default=[],
        help="URL of a dashboard that browsers bring their token to after a log-in at an identity provider, letter for letter as it names "
        "itself, e.g. https://cloud.example.org/dashboard/auth/websso/; may be repeated. Without any, browsers cannot log in so.",
    ),
    cfg.StrOpt(
        "limit_model",
        default="flat",
        choices=[
            ("flat", "a project's limit stands alone"),
            ("strict_two_level", "a project's limit is never above its domain's, and projects do not nest"),
        ],
        help="How the limits of domains and of their projects relate.",
    ),
]
CEPH = [
    cfg.StrOpt("conf", default="/etc/ceph/ceph.conf", help="ceph.conf of the cluster."),
    cfg.StrOpt("user", default="wolke", help="cephx user without `client.`."),
    cfg.IntOpt("timeout", default=20, min=1, help="Seconds after which an operation on the cluster has failed."),
]
IMAGE = [
    cfg.IntOpt("upload_timeout", default=300, min=1, help="Seconds without progress after which an upload is taken for dead."),
    cfg.IntOpt("max_size", default=1024, min=1, help="GiB that an image's data, and the disk inside of it, have at the most."),
]
OVN = [
    cfg.StrOpt("northbound", default="unix:/var/run/ovn/ovnnb_db.sock", help="OVN's northbound database."),
    cfg.StrOpt("southbound", default="unix:/var/run/ovn/ovnsb_db.sock", help="OVN's southbound database."),
    cfg.IntOpt("underlay_mtu", default=1500, min=576, help="MTU of the network between hosts; a tenant's is 58 less."),
    cfg.DictOpt("physical_networks", default={"ext": "1500"}, help="Provider networks that hosts are wired to, with their MTU."),
    cfg.ListOpt("dns_servers", default=[], help="Resolvers for subnets that name none."),
]
WORKER = [
    cfg.IntOpt("threads", default=4, min=1, help="Job steps that one worker runs at a time."),
    cfg.FloatOpt("poll_seconds", default=3.0, min=0.1, help="Seconds between looks for work that no wake announced."),
    cfg.IntOpt("lease_seconds", default=30, min=5, help="Seconds for which a claimed job is this worker's."),
]
COMPUTE = [
    cfg.FloatOpt("cpu_allocation_ratio", default=16.0, min=0.1, help="vCPUs placed per processor of a host."),
    cfg.FloatOpt("ram_allocation_ratio", default=1.0, min=0.1, help="MiB placed per MiB of a host."),
    cfg.IntOpt("host_down_seconds", default=60, min=5, help="Seconds without a report after which a host counts as down."),
    cfg.StrOpt("availability_zone", default="nova", help="Zone of hosts that name none."),
]
AGENT = [
    cfg.StrOpt("libvirt_uri", default="qemu:///system", help="The host's libvirtd."),
    cfg.StrOpt("ovs_db", default="unix:/var/run/openvswitch/db.sock", help="The host's own Open vSwitch database."),
    cfg.StrOpt("integration_bridge", default="br-int", help="OVN's bridge on a host."),
    cfg.StrOpt("address", default="127.0.0.1", help="The host's own address towards Ceph and other hosts."),
    cfg.StrOpt("virt_type", default="auto", choices=["auto", "kvm", "qemu"], help="auto: kvm where a probe's guest really runs."),
    cfg.FloatOpt("tick_seconds", default=10.0, min=0.1, help="Seconds between looks that no event asked for."),
    cfg.IntOpt("shutdown_seconds", default=60, min=1, help="Seconds that a guest has for a clean shutdown."),
]
GROUPS: dict[str | None, list[cfg.Opt]] = {
    None: DEFAULT, "database": DATABASE, "api": API, "identity": IDENTITY, "ceph": CEPH, "image": IMAGE, "ovn": OVN,
    "worker": WORKER, "compute": COMPUTE, "agent": AGENT,
}  # fmt: skip


def register() -> None:
    """Register every option on `CONF`; harmless when repeated."""
    for group, options in GROUPS.items():
        CONF.register_opts(options, group=group)


def load(arguments: Sequence[str], *, program: str) -> None:
    """Read the command line and the configuration file.

    Raises SystemExit with a sentence when either is wrong.
    """
    register()
    try:
        CONF(list(arguments), project="wolke", prog=program)
    except cfg.Error as error:
        raise SystemExit(f"{program}: {error}") from None


def list_options() -> list[tuple[str | None, list[cfg.Opt]]]:
    """oslo.config's generator asks here for the sample file."""
    return list(GROUPS.items())


register()
