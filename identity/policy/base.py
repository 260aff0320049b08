"""Who may ask identity for what, in the words that its themes share.

Reading is for the cloud's admin, readers of the system, and readers of a domain within it; a domain's manager runs what is in it.
What a user may ask about himself needs no rule: the handler looks at the path before it asks one of these.
"""

from __future__ import annotations

from common.api.policy import ADMIN, Rule, rule

READ = "role:admin or (role:reader and system_scope:all)"
READ_DOMAIN = f"{READ} or (role:reader and scope:domain)"
MANAGE_DOMAIN = f"{ADMIN} or (role:manager and scope:domain)"
SERVICE = f"{READ} or role:service"


def managed(noun: str, plural: str, read: str, what: str, change: str = ADMIN) -> list[Rule]:
    """The five operations of a resource."""
    return [
        rule(f"identity:create_{noun}", change, f"Create {what}."),
        rule(f"identity:get_{noun}", read, f"Show {what}."),
        rule(f"identity:list_{plural}", read, f"List {what}s."),
        rule(f"identity:update_{noun}", change, f"Change {what}."),
        rule(f"identity:delete_{noun}", change, f"Delete {what}."),
    ]
