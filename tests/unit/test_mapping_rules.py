"""The mapping engine: one rule, or two, against one assertion."""

from __future__ import annotations

import pytest

from common.errors import BadRequest, Unauthorized
from identity.service.federation import conditions, rules
from identity.service.federation.rules import DomainRef, MappedGroup, MappedProject, check, evaluate

ASSERTION = {
    "name": ["ann"], "mail": ["ann@x.org"], "kind": ["employee", "tester"], "groups": ["dev", "ops", "dev-eu"], "empty": [""], "REMOTE_USER": ["ann@idp"],
}  # fmt: skip
USER = {"user": {"name": "{0}"}}
NAME = {"type": "name"}


def mapped(local, *remote, version="1.0", assertion=ASSERTION):
    return evaluate([{"local": local, "remote": list(remote)}], assertion, version)


def test_values_are_put_in_by_their_place():
    user = mapped([{"user": {"name": "{0} <{1}>", "id": "u-{0}", "email": "{1}"}}], NAME, {"type": "mail"}).user
    assert (user.type, user.name, user.id, user.email) == ("ephemeral", "ann <ann@x.org>", "u-ann", "ann@x.org")
    assert user.unique_id == "u-ann"


def test_tests_take_no_place():
    user = mapped([USER], {"type": "kind", "any_one_of": ["tester"]}, {"type": "kind", "not_any_of": ["guest"]}, {"type": "mail"}).user
    assert user.name == "ann@x.org"


def test_without_values_a_text_stays_as_it_is():
    assert mapped([USER], {"type": "kind", "any_one_of": ["tester"]}).user.name == "{0}"


def test_braces_that_are_no_place_stay():
    assert mapped([{"user": {"name": "{{0}} {x} {0}"}}], NAME).user.name == "{0} {x} ann"


def test_no_attribute_of_a_value_can_be_reached():
    assert mapped([{"user": {"name": "{0.__class__}{0!r}{0:>99}"}}], NAME).user.name == "{0.__class__}{0!r}{0:>99}"


def test_a_unique_id_is_safe_in_a_url():
    assert mapped([USER], NAME, assertion={"name": ["Ann Müller/x"]}).user.unique_id == "Ann%20M%C3%BCller/x"


def test_several_values_in_one_text_come_whole():
    assert mapped([USER], {"type": "groups"}).user.name == "dev;ops;dev-eu"


@pytest.mark.parametrize(("condition", "applies"), [
    ({"type": "none"}, False), ({"type": "empty"}, True),
    ({"type": "kind", "any_one_of": ["tester"]}, True), ({"type": "kind", "any_one_of": ["test"]}, False),
    ({"type": "kind", "any_one_of": []}, False), ({"type": "kind", "any_one_of": ["^test"], "regex": True}, True),
    ({"type": "kind", "any_one_of": ["^ester"], "regex": True}, False), ({"type": "kind", "any_one_of": [".*"], "regex": False}, False),
    ({"type": "kind", "not_any_of": ["tester"]}, False), ({"type": "kind", "not_any_of": ["guest"]}, True),
    ({"type": "kind", "not_any_of": []}, True), ({"type": "kind", "not_any_of": ["t.*r"], "regex": True}, False),
    ({"type": "none", "not_any_of": ["x"]}, False), ({"type": "kind", "whitelist": ["guest"]}, True),
])  # fmt: skip
def test_a_rule_applies_when_all_its_conditions_hold(condition, applies):
    local = [{"user": {"name": "x"}}]
    if applies:
        assert mapped(local, NAME, condition).user.name == "x"
        return
    with pytest.raises(Unauthorized):
        mapped(local, NAME, condition)


@pytest.mark.parametrize(("condition", "left"), [
    ({}, ["dev", "ops", "dev-eu"]), ({"whitelist": ["ops", "none"]}, ["ops"]), ({"blacklist": ["ops"]}, ["dev", "dev-eu"]),
    ({"whitelist": ["^dev"], "regex": True}, ["dev", "dev-eu"]), ({"blacklist": ["^dev"], "regex": True}, ["ops"]),
    ({"whitelist": []}, []), ({"blacklist": []}, ["dev", "ops", "dev-eu"]), ({"blacklist": [".*"], "regex": True}, []),
])  # fmt: skip
def test_lists_of_groups_are_filtered(condition, left):
    found = mapped([USER, {"groups": "{1}", "domain": {"name": "d"}}, {"group_ids": "{1}"}], NAME, {"type": "groups", **condition})
    assert found.groups == tuple(MappedGroup(name, DomainRef(name="d")) for name in left)
    assert found.group_ids == tuple(left)


def test_a_filter_leaves_its_place_to_its_values():
    found = mapped([{"user": {"name": "{1}"}}, {"group_ids": "{0}"}], {"type": "groups", "blacklist": ["dev"]}, NAME)
    assert (found.user.name, found.group_ids) == ("ann", ("ops", "dev-eu"))


def test_groups_of_all_kinds_are_one_list_without_doubles():
    found = mapped([
        USER, {"group": {"id": "g1"}, "group_ids": "g2"}, {"group": {"id": "g1"}}, {"group_ids": "['g3', '{0}']"},
        {"group": {"name": "a", "domain": {"id": "d"}}}, {"group": {"name": "a", "domain": {"id": "d"}}}, {"groups": "{0}", "domain": {"id": "d"}},
    ], NAME)  # fmt: skip
    assert found.group_ids == ("g1", "g2", "g3", "ann")
    assert found.groups == (MappedGroup("a", DomainRef(id="d")), MappedGroup("ann", DomainRef(id="d")))


def test_a_group_may_bring_its_domain():
    brought = ['JSON:{"name": "a", "domain": {"name": "d"}}', 'JSON:{"name": "b", "domain": {"id": "e"}}']
    found = mapped([USER, {"groups": "{1}"}], NAME, {"type": "g"}, assertion={"name": ["x"], "g": brought})
    assert found.groups == (MappedGroup("a", DomainRef(name="d")), MappedGroup("b", DomainRef(id="e")))


@pytest.mark.parametrize("value", [
    "dev", "JSON:", "JSON:[]", "JSON:{", 'JSON:{"name": "a"}', 'JSON:{"name": ["a"], "domain": {"id": "d"}}', "JSON:" + "[" * 100_000,
    'JSON:{"name": "a", "domain": {"id": ["d"]}}', 'JSON:{"name": "a", "domain": "d"}',
])  # fmt: skip
def test_a_group_without_a_domain_is_refused(value):
    with pytest.raises(BadRequest):
        mapped([USER, {"groups": "{1}"}], NAME, {"type": "g"}, assertion={"name": ["x"], "g": [value]})


def test_a_value_is_never_read_as_a_list():
    """Else who may choose his own name would choose his groups."""
    found = mapped([USER, {"group_ids": "{0}"}], NAME, assertion={"name": ["['g1', 'admins']"]})
    assert found.group_ids == ("['g1', 'admins']",)
    assert mapped([USER, {"group_ids": "x{0}"}], NAME, assertion={"name": ["['a']"]}).group_ids == ("x['a']",)


def test_all_rules_that_apply_count_and_the_first_user():
    found = evaluate([
        {"local": [{"group": {"id": "g1"}}], "remote": [{"type": "kind", "any_one_of": ["tester"]}]},
        {"local": [{"group": {"id": "never"}}], "remote": [{"type": "kind", "any_one_of": ["guest"]}]},
        {"local": [{"user": {"name": "{0}"}, "group": {"id": "g2"}}], "remote": [{"type": "mail"}]},
        {"local": [{"user": {"name": "{0}"}, "projects": [{"name": "p", "roles": []}]}], "remote": [NAME]},
        {"local": [{"projects": [{"name": "q", "roles": [{"name": "{0}"}]}]}], "remote": [{"type": "kind", "whitelist": ["tester"]}]},
    ], ASSERTION)  # fmt: skip
    assert (found.user.name, found.group_ids) == ("ann@x.org", ("g1", "g2"))
    assert found.projects == (MappedProject("q", ("tester",)),)


def test_who_is_named_by_no_rule_is_the_remote_user():
    assert mapped([{"group": {"id": "g"}}], NAME).user.name == "ann@idp"
    assert mapped([{"user": {"name": ""}}], NAME).user.name == "ann@idp"
    assert mapped([{"user": {"id": "{0}"}}], NAME, assertion={"name": ["ann"]}).user.name == "ann"
    with pytest.raises(Unauthorized):
        mapped([{"group": {"id": "g"}}], NAME, assertion={"name": ["ann"]})


def test_a_local_user_is_left_as_the_rule_says():
    user = mapped([{"user": {"name": "{0}", "type": "local", "domain": {"name": "d"}}}], NAME).user
    assert (user.type, user.name, user.domain) == ("local", "ann", DomainRef(name="d"))
    assert mapped([{"user": {"id": "u", "type": "local"}}], NAME).user.name is None


PROJECTS = [{"name": "{0}", "roles": [{"name": "member"}, {"name": "reader"}]}]


def test_version_1_knows_no_domain_of_projects_or_of_ephemeral_users():
    found = mapped([{"user": {"name": "{0}", "domain": {"id": "x"}}, "projects": PROJECTS, "domain": {"id": "d"}}], NAME)
    assert found.user.domain is None
    assert found.projects == (MappedProject("ann", ("member", "reader")),)


def test_version_2_honors_the_domain():
    found = mapped(
        [{**USER, "projects": [*PROJECTS, {"name": "p", "roles": [], "domain": {"id": "{0}"}}], "domain": {"name": "d"}}],
        NAME,
        version="2.0",
    )
    assert found.user.domain == DomainRef(name="d")
    assert found.projects == (MappedProject("ann", ("member", "reader"), DomainRef(name="d")), MappedProject("p", (), DomainRef(id="ann")))
    assert mapped([{"user": {"name": "x", "domain": {"id": "own"}}, "domain": {"id": "d"}}], NAME, version="2.0").user.domain == DomainRef(
        id="own"
    )
    assert mapped([{**USER, "projects": PROJECTS}], NAME, version="2.0").projects[0].domain is None


def test_a_regular_expression_has_a_bounded_time():
    bad = {"type": "name", "any_one_of": [r"^(a+)+$", r"^(a|a)*$", r"^(.*a){20}$"], "regex": True}
    with pytest.raises(BadRequest, match="takes too long"):
        mapped([USER], bad, assertion={"name": ["a" * 60 + "!"] * 3})
    with pytest.raises(BadRequest, match="too long"):
        mapped([USER], {"type": "name", "not_any_of": ["x"], "regex": True}, assertion={"name": ["a" * 5000]})


def test_all_regular_expressions_of_a_log_in_have_one_budget(monkeypatch):
    now, given = [0.0], []

    def search(_pattern, _value, timeout):
        given.append(timeout)
        now[0] += 0.1

    monkeypatch.setattr("common.clock.boottime", lambda: now[0])
    monkeypatch.setattr(conditions.regex, "search", search)
    condition = {"type": "name", "any_one_of": ["a", "b"], "regex": True}
    with pytest.raises(Unauthorized):
        mapped([USER], condition, assertion={"name": ["x", "y"]})
    left = conditions.MATCH_SECONDS
    assert given == pytest.approx([left, left - 0.1, left - 0.2, 0.001])


def test_rules_that_could_never_be_carried_out_are_told():
    for rule in (
        {"local": [{"user": {"name": "{1}"}}], "remote": [NAME]},
        {"local": [{"projects": [{"name": "p", "roles": [{"name": "{2}"}]}]}], "remote": [NAME, {"type": "a", "any_one_of": ["x"]}]},
        {"local": [], "remote": [{"type": "name", "blacklist": ["("], "regex": True}]},
    ):
        with pytest.raises(BadRequest, match=r"rules\.0"):
            check([rule])
    check([{"local": [{"user": {"name": "{5}"}}], "remote": [{"type": "name", "any_one_of": ["("]}]}])
    check([{"local": [USER], "remote": [{"type": "name", "whitelist": ["a{1,5}"], "regex": True}]}])


def test_nothing_of_the_rules_is_changed():
    local = [{"user": {"name": "{0}", "domain": {"id": "{0}"}}, "groups": "{0}", "domain": {"id": "d"}}]
    mapped(local, NAME, version="2.0")
    assert local == [{"user": {"name": "{0}", "domain": {"id": "{0}"}}, "groups": "{0}", "domain": {"id": "d"}}]
    assert rules.HONORS_DOMAIN == "2.0"
