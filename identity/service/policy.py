"""Policies: texts that a service may ask for. Identity keeps them and reads none."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from common.db import Tx
from identity.models import Policy
from identity.service.rows import Values, assign, filtered, find, flush, same_id, store

COLUMNS = ("blob", "type")
KNOWN = (*COLUMNS, "id", "links")
FILTERS = {"type": Policy.type}


def create_policy(tx: Tx, values: Values) -> Policy:
    """A new policy."""
    policy = Policy(extra={})
    assign(policy, values, COLUMNS, KNOWN)
    store(tx, policy, "policy", policy.type)
    return policy


def list_policies(filters: Values) -> Select[Any]:
    """All policies that the filters let through."""
    return filtered(select(Policy), filters, FILTERS)


def get_policy(tx: Tx, policy_id: str) -> Policy:
    """The policy. Raises NotFound."""
    return find(tx, Policy, policy_id, "policy")


def update_policy(tx: Tx, policy_id: str, values: Values) -> Policy:
    """Change a policy. Raises NotFound, BadRequest (another id)."""
    same_id(values, policy_id, "policy")
    policy = find(tx, Policy, policy_id, "policy", lock=True)
    assign(policy, values, COLUMNS, KNOWN)
    flush(tx, "policy", policy_id)
    return policy


def delete_policy(tx: Tx, policy_id: str) -> None:
    """Delete a policy, and what it is meant for. Raises NotFound."""
    tx.delete(find(tx, Policy, policy_id, "policy", lock=True))
    tx.flush()
