"""`/v3/credentials`: kept encrypted, each user's own, and never a way around what a token was given for."""

from __future__ import annotations

import argparse
import hashlib
import json
import threading

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, text

from common.db import Database
from identity import manage, manage_keys
from identity.models import Consumer, ConsumerSecret, Credential
from identity.service import crypt
from tests.support.api import counted

PATH = "/v3/credentials"


def ec2_blob(access="a", **more):
    return json.dumps({"access": access, "secret": "s", **more})


def make(client, user, ok=201, **values):
    body = {"credential": {"user_id": user["id"], "type": "cert", "blob": "secret text", **values}}
    answer = client.post(PATH, body, ok=ok)
    return answer["credential"] if ok == 201 else answer


def test_a_credential_lives_and_dies(cloud):
    ann, user, project = cloud.member("ann")
    row = make(ann, user, project_id=project["id"], colour="blue")
    assert (row["type"], row["blob"], row["user_id"], row["project_id"], row["colour"]) == (
        "cert",
        "secret text",
        user["id"],
        project["id"],
        "blue",
    )
    path = f"{PATH}/{row['id']}"
    assert row["links"]["self"].endswith(path)
    assert ann.get(path)["credential"] == row
    changed = ann.patch(path, {"credential": {"blob": "other", "type": "totp", "colour": "red"}}, ok=200)["credential"]
    assert (changed["blob"], changed["type"], changed["colour"], changed["project_id"]) == ("other", "totp", "red", project["id"])
    assert [row["id"] for row in ann.get(PATH)["credentials"]] == [row["id"]]
    ann.delete(path)
    cloud.admin.get(path, ok=404)
    cloud.admin.delete(path, ok=404)
    ann.get(path, ok=403)


def test_nothing_of_it_is_readable_in_sql(cloud):
    ann, user, _ = cloud.member("ann")
    make(ann, user, blob="very secret text")
    assert "secret" not in cloud.db.run(lambda tx: tx.scalars(select(Credential.blob)).one())


def test_one_sees_and_changes_only_his_own(cloud):
    ann, ann_user, _ = cloud.member("ann")
    bob, bob_user, _ = cloud.member("bob")
    row = make(ann, ann_user)
    for method in ("GET", "PATCH", "DELETE"):
        for credential_id in (row["id"], "0" * 32):
            bob(method, f"{PATH}/{credential_id}", {"credential": {"blob": "x"}} if method == "PATCH" else None, ok=403)
    make(bob, ann_user, ok=403)
    assert bob.get(f"{PATH}?user_id={ann_user['id']}")["credentials"] == []
    made = make(cloud.admin, bob_user)
    assert {item["id"] for item in cloud.admin.get(PATH)["credentials"]} == {row["id"], made["id"]}
    assert [item["id"] for item in cloud.admin.get(f"{PATH}?user_id={bob_user['id']}")["credentials"]] == [made["id"]]
    assert cloud.admin.get(f"{PATH}?type=ec2")["credentials"] == []
    cloud.admin.patch(f"{PATH}/{row['id']}", {"credential": {"blob": "x"}}, ok=200)


def test_a_reader_of_the_system_reads_all(cloud):
    ann, user, _ = cloud.member("ann")
    row = make(ann, user)
    reader = cloud.make("user", name="auditor", password="pw")
    cloud.grant("reader", user=reader["id"])
    auditor = cloud.login("auditor", "pw", {"system": {"all": True}})
    assert auditor.get(f"{PATH}/{row['id']}")["credential"]["blob"] == "secret text"
    assert len(auditor.get(PATH)["credentials"]) == 1
    auditor.delete(f"{PATH}/{row['id']}", ok=403)
    auditor.patch(f"{PATH}/{row['id']}", {"credential": {"blob": "x"}}, ok=403)


def test_an_ec2_credential_is_named_after_its_access_key(cloud):
    ann, user, project = cloud.member("ann")
    row = make(ann, user, type="ec2", project_id=project["id"], blob=ec2_blob("my key"))
    assert row["id"] == hashlib.sha256(b"my key").hexdigest()
    make(ann, user, type="ec2", project_id=project["id"], blob=ec2_blob("my key"), ok=409)
    other = cloud.make("project", name="other")
    path = f"{PATH}/{row['id']}"
    changed = ann.patch(path, {"credential": {"blob": ec2_blob("new"), "project_id": other["id"], "type": "ec2"}}, ok=200)["credential"]
    assert (changed["id"], changed["project_id"], json.loads(changed["blob"])["access"]) == (row["id"], other["id"], "new")


@pytest.mark.parametrize(
    "change", [{"user_id": "0" * 32}, {"type": "cert"}, {"project_id": None}, {"blob": "x"}, {"id": 5}, {}, {"blob": None}]
)
def test_what_an_ec2_credential_cannot_become(cloud, change):
    ann, user, project = cloud.member("ann")
    row = make(ann, user, type="ec2", project_id=project["id"], blob=ec2_blob())
    ann.patch(f"{PATH}/{row['id']}", {"credential": change}, ok=400)
    assert ann.get(f"{PATH}/{row['id']}")["credential"] == row


@pytest.mark.parametrize("name", ["trust_id", "app_cred_id", "access_token_id", "access_id"])
def test_what_bounds_an_ec2_credential_stays(cloud, name):
    ann, user, project = cloud.member("ann")
    row = make(ann, user, type="ec2", project_id=project["id"], blob=ec2_blob(**{name: "one"}))
    path = f"{PATH}/{row['id']}"
    for blob in (ec2_blob(), ec2_blob(**{name: "two"}), ec2_blob(**{name: None})):
        ann.patch(path, {"credential": {"blob": blob}}, ok=400)
    ann.patch(path, {"credential": {"project_id": cloud.make("project", name="other")["id"]}}, ok=400)
    ann.patch(path, {"credential": {"blob": ec2_blob("new", **{name: "one"})}}, ok=200)


@pytest.mark.parametrize(("values", "status"), [
    ({"type": "ec2"}, 400), ({"type": "ec2", "project_id": None, "blob": ec2_blob()}, 400), ({"type": "EC2", "blob": ec2_blob()}, 400),
    ({"type": "ec2", "project_id": "p", "blob": "{"}, 400), ({"type": "ec2", "project_id": "p", "blob": "[]"}, 400),
    ({"type": "ec2", "project_id": "p", "blob": "[" * 2000}, 400), ({"type": "ec2", "project_id": "p", "blob": '{"access": "a"}'}, 400),
    ({"type": "ec2", "project_id": "p", "blob": '{"access": 1, "secret": "s"}'}, 400),
    ({"type": "ec2", "project_id": "p", "blob": '{"access": "\\ud800", "secret": "s"}'}, 400),
    ({"type": "ec2", "project_id": "p", "blob": '{"access": "a", "secret": "\\ud800"}'}, 400),
    ({"type": "ec2", "project_id": "p", "blob": '{"access": "a\\u0000", "secret": "s"}'}, 400),
    ({"type": "ec2", "project_id": "p", "blob": ec2_blob(trust_id="\ud800")}, 400), ({"type": "ec2", "project_id": "p", "blob": ec2_blob(app_cred_id="\x00")}, 400),
    ({"type": "ec2", "project_id": "p", "blob": ec2_blob(trust_id=5)}, 400), ({"type": "ec2", "project_id": "p", "blob": ec2_blob()}, 404),
    ({"project_id": "0" * 32}, 404), ({"user_id": "0" * 32}, 404), ({"user_id": None}, 400), ({"user_id": "x" * 65}, 400), ({"type": ""}, 400),
    ({"type": "x" * 256}, 400), ({"blob": {"a": 1}}, 400), ({"blob": "a\x00"}, 400), ({"blob": "x" * 65536}, 400), ({"blob": None}, 400),
    ({"project_id": 7}, 400),
])  # fmt: skip
def test_a_wrong_credential_is_refused(cloud, values, status):
    make(cloud.admin, cloud.make("user", name="ann"), ok=status, **values)


def test_a_refusal_does_not_repeat_the_secret(cloud):
    answer = make(cloud.admin, cloud.make("user", name="ann"), ok=400, blob=["my secret"])
    assert "my secret" not in json.dumps(answer)


def test_a_list_takes_one_look(cloud):
    ann, user, _ = cloud.member("ann")
    for _ in range(3):
        make(ann, user)
    with counted(cloud.db) as few:
        ann.get(PATH)
    for _ in range(10):
        make(ann, user)
    with counted(cloud.db) as many:
        assert len(ann.get(PATH)["credentials"]) == 13
    assert len(few) == len(many)
    page = ann.get(f"{PATH}?limit=5")
    assert len(page["credentials"]) == 5
    assert page["links"]["next"] is not None


def test_keys_are_turned_over_without_a_restart(cloud):
    ann, user, _ = cloud.member("ann")
    path = f"{PATH}/{make(ann, user)['id']}"
    cloud.db.run(lambda tx: tx.add(Consumer(id="c", extra={})))
    cloud.db.run(lambda tx: tx.add(ConsumerSecret(consumer_id="c", secret=crypt.encrypt("of oauth"))))
    (first,) = crypt.read_keys()
    assert manage_keys.rotate(cloud.db) is False  # the next key is made, and encrypts nothing yet
    _, second = crypt.read_keys()
    assert crypt.read_keys()[0] == first
    assert manage_keys.rotate(cloud.db) is True
    assert crypt.read_keys()[0] == second
    assert crypt.read_keys()[2] == first
    assert ann.get(path)["credential"]["blob"] == "secret text"
    with pytest.raises(SystemExit, match="2 rows"):
        manage_keys.rotate(cloud.db)
    assert manage_keys.re_encrypt(cloud.db) == 2
    assert manage_keys.re_encrypt(cloud.db) == 0
    assert Fernet(second).decrypt(cloud.db.run(lambda tx: tx.scalars(select(Credential.blob)).one()).encode()) == b"secret text"
    for _ in range(3):
        assert manage_keys.rotate(cloud.db) is True
        manage_keys.re_encrypt(cloud.db)
    assert len(crypt.read_keys()) == 4
    assert first not in crypt.read_keys()
    assert ann.get(path)["credential"]["blob"] == "secret text"


def test_a_node_with_the_older_file_reads_and_is_read(cloud):
    """Whichever node gets the new file first."""
    manage_keys.rotate(cloud.db)
    older = crypt.read_keys()
    manage_keys.rotate(cloud.db)
    newer = crypt.read_keys()
    by_newer = crypt.encrypt("x")
    crypt.write_keys(older)
    by_older = crypt.encrypt("y")
    assert crypt.decrypt(by_newer) == "x"
    crypt.write_keys(newer)
    assert crypt.decrypt(by_older) == "y"


def test_re_encrypting_goes_by_batches_and_while_others_write(cloud, monkeypatch):
    monkeypatch.setattr(manage_keys, "BATCH", 2)
    ann, user, _ = cloud.member("ann")
    paths = [f"{PATH}/{make(ann, user)['id']}" for _ in range(5)]
    manage_keys.rotate(cloud.db)
    manage_keys.rotate(cloud.db)
    writer = threading.Thread(target=lambda: [ann.patch(path, {"credential": {"blob": "new"}}, ok=200) for path in paths])
    writer.start()
    manage_keys.re_encrypt(cloud.db)
    writer.join()
    assert manage_keys.count_behind(cloud.db) == 0
    assert {row["blob"] for row in ann.get(PATH)["credentials"]} == {"new"}


def test_without_the_key_it_is_a_503_that_says_what_to_do(cloud):
    ann, user, _ = cloud.member("ann")
    path = f"{PATH}/{make(ann, user)['id']}"
    crypt.write_keys([Fernet.generate_key().decode()])
    answer = ann.get(path, ok=503)
    assert "other nodes" in answer["error"]["message"]
    assert cloud.db.run(lambda tx: tx.scalar(text("SELECT count(*) FROM identity.credential"))) == 1


def test_the_commands_say_what_comes_next(cloud, monkeypatch, capsys):
    url = cloud.db.engine.url.render_as_string(hide_password=False)
    monkeypatch.setattr(manage, "_database", lambda: Database(url, pool_size=1))
    parser = argparse.ArgumentParser()
    manage.add_commands(parser.add_subparsers())

    def run(command):
        asked = parser.parse_args(["identity", command])
        assert asked.func(asked) == 0
        return capsys.readouterr().out

    assert "nothing encrypts with it yet" in run("rotate-credential-keys")
    assert f"Copy {crypt.path()} to every node" in run("rotate-credential-keys")
    assert "0 rows" in run("re-encrypt")
