"""Who may do what in compute: one permission per operation and per guarded field."""

from __future__ import annotations

from common.api.policy import ADMIN, ANYONE, MEMBER, READER, Rule, rule

_READ = {
    "server:list": "List servers", "server:show": "Show a server", "server:metadata:list": "List a server's metadata",
    "server:metadata:show": "Show an item of a server's metadata", "server:ips": "List a server's addresses",
    "server:actions:list": "List what was asked of a server", "server:actions:show": "Show one request",
    "server:volumes:list": "List a server's volumes", "server:volumes:show": "Show a server's volume",
    "server:groups:list": "List a server's security groups", "server:interfaces:list": "List a server's ports", "server:interfaces:show": "Show a server's port",
    "flavor:list": "List flavors", "flavor:show": "Show a flavor",
    "flavor:specs:list": "List a flavor's extra specs", "flavor:specs:show": "Show an extra spec", "zone:list": "List availability zones",
    "limits:show": "Show the project's limits", "quota:show": "Show the project's quota", "quota:defaults": "Show default quotas",
}  # fmt: skip
_WRITE = {
    "server:create": "Create servers", "server:update": "Change a server's name and access addresses", "server:delete": "Delete a server",
    "server:start": "Start a server", "server:stop": "Stop a server", "server:reboot": "Reboot a server", "server:lock": "Lock a server",
    "server:unlock": "Unlock a server", "server:metadata:write": "Change a server's metadata",
    "server:metadata:delete": "Delete an item of a server's metadata", "server:volumes:attach": "Attach a volume",
    "server:volumes:detach": "Detach a volume", "server:groups:add": "Add a security group to a server",
    "server:groups:remove": "Remove a security group from a server", "server:console": "Read a server's console log",
}  # fmt: skip
_ADMIN = {
    "server:create:forced_host": "Choose the host of a new server", "server:list:all_projects": "List the servers of all projects",
    "server:list:host": "Filter servers by host", "server:show:host_attributes": "See which host a server is on",
    "server:show:fault_details": "See the details of a fault", "server:actions:details": "See the tracebacks of a request's events",
    "server:limits:show": "Show the limits of a server's disks", "server:limits:set": "Limit the disks of a server",
    "flavor:create": "Create a flavor", "flavor:delete": "Delete a flavor", "flavor:list:private": "List flavors that are not public",
    "flavor:specs:write": "Change extra specs", "flavor:specs:delete": "Delete an extra spec", "flavor:access:list": "List who may use a flavor",
    "flavor:access:change": "Change who may use a flavor", "keypair:others": "See and change other users' key pairs",
    "zone:detail": "List availability zones with their hosts", "aggregate:list": "List host aggregates", "service:list": "List services", "service:update": "Enable and disable hosts",
    "hypervisor:list": "List hypervisors", "hypervisor:show": "Show a hypervisor", "quota:show:others": "Show other projects' quotas",
    "quota:update": "Change quotas", "quota:delete": "Return a project to default quotas",
    "limits:show:others": "Show other projects' limits",
}  # fmt: skip
_ANYONE = {
    "keypair:list": "List one's key pairs", "keypair:show": "Show a key pair", "keypair:create": "Create or import a key pair",
    "keypair:delete": "Delete a key pair", "extension:list": "List extensions", "extension:show": "Show an extension",
}  # fmt: skip

RULES: list[Rule] = [
    rule(f"compute:{name}", check, text)
    for names, check in ((_READ, READER), (_WRITE, MEMBER), (_ADMIN, ADMIN), (_ANYONE, ANYONE))
    for name, text in names.items()
]
