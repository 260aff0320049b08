"""Who may do what in the network service: one rule per operation and per guarded field."""

from __future__ import annotations

from common.api.policy import ADMIN, MEMBER, READER, Rule, rule

NOUNS = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
GUARDED = {
    "network": ("shared", "external", "provider", "is_default"),
    "port": ("binding", "mac_address"),
    "router": ("gateway",),
    "floatingip": ("floating_ip_address",),
}
# Not guarded: a port's MAC may be chosen on one's own network, and a floating IP's address never changes.
OPEN = {("port", "create", "mac_address"), ("floatingip", "update", "floating_ip_address")}


def _noun(noun: str) -> list[Rule]:
    name = noun.replace("_", " ")
    rules = [rule(f"network:{noun}:{verb}", READER, f"{verb.title()} {name}s that are visible.") for verb in ("list", "show")]
    verbs = [verb for verb in ("create", "update", "delete") if (noun, verb) != ("security_group_rule", "update")]
    rules += [rule(f"network:{noun}:{verb}", MEMBER, f"{verb.title()} one's own {name}.") for verb in verbs]
    for field in GUARDED.get(noun, ()):
        verbs = [verb for verb in ("create", "update") if (noun, verb, field) not in OPEN]
        rules += [rule(f"network:{noun}:{verb}:{field}", ADMIN, f"{verb.title()} a {name} with a {field} of choice.") for verb in verbs]
    return rules


RULES: list[Rule] = [item for noun in NOUNS for item in _noun(noun)] + [
    rule("network:network:show:provider", ADMIN, "See how a network is made."),
    rule("network:port:show:binding", ADMIN, "See where a port is."),
    rule("network:router:add_interface", MEMBER, "Plug one's own router into a subnet."),
    rule("network:router:remove_interface", MEMBER, "Unplug a router."),
    rule("network:quota:show", READER, "See one's own project's limits."),
    rule("network:quota:list", ADMIN, "See every project's limits, and any project's."),
    rule("network:quota:update", ADMIN, "Set a project's limits."),
    rule("network:quota:delete", ADMIN, "Set a project's limits back."),
    rule("network:extension:list", READER, "See what this API offers."),
]
