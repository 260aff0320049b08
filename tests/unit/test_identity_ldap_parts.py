"""What a directory that gives an attribute in parts may answer: as Microsoft's documents show it, and as none should (MS-ADTS 3.1.1.3.1.3.3).

Windows alone gives parts unasked; tests/contract/test_identity_ad.py reads parts of a Samba.
"""

from __future__ import annotations

from typing import Any

import ldap
import pytest

from common.clock import Deadline
from identity.engine.ldap import Server
from identity.engine.ldap_types import DirectoryAway, Settings

DN = "CN=all,OU=Groups,DC=ad,DC=test"


def some(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


class Scripted:
    """libldap's side of one connection: the first answer is to the search, the others to what is asked on."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []

    def search_ext(self, _base: str, _scope: int, _filter: str, attributes: list[str], **_more: Any) -> int:
        self.asked.append(attributes)
        return 1

    def result3(self, *_args: Any, **_more: Any) -> tuple[Any, ...]:
        return 101, self.answers.pop(0), 1, []

    def search_ext_s(self, base: str, _scope: int, _filter: str, attributes: list[str], **_more: Any) -> Any:
        self.asked.append(attributes)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [(base, answer)] if isinstance(answer, dict) else answer


def server(*answers: Any) -> tuple[Server, Scripted]:
    made, scripted = Server.__new__(Server), Scripted([(DN, answers[0])], *answers[1:])
    made._settings, made._deadline, made._ldap = Settings(), Deadline(60), scripted
    return made, scripted


def test_parts_are_read_on_to_the_end():
    made, scripted = server(
        {"member": [], "Member;range=0-1499": some(0, 1499), "cn": [b"all"]},
        {"member;Range=1500-2999": some(1500, 2999), "member;range=1500-*": []},
        {"member;range=3000-*": some(3000, 3001)},
    )
    [entry] = made.search("dc=test", "sub", "(cn=all)", ["member", "cn"])
    assert entry.all("member") == [each.decode() for each in some(0, 3001)]
    assert (entry.all("cn"), set(entry.attributes)) == (["all"], {"member", "cn"})
    assert scripted.asked == [["member", "cn"], ["member;range=1500-*"], ["member;range=3000-*"]]


@pytest.mark.parametrize("last", [{"member;range=2-*": []}, {"member;range=2-*": [b"2"]}])
def test_the_end_may_be_empty(last):
    made, _ = server({"member;range=0-1": some(0, 1), "managed;range=0-*": [b"x"]}, last)
    [entry] = made.search(DN, "base", "(cn=all)", ["member"])
    assert entry.all("member") == ["0", "1", *(["2"] if last["member;range=2-*"] else [])]
    assert entry.all("managed") == ["x"]


@pytest.mark.parametrize("scope", ["sub", "base"])
@pytest.mark.parametrize("answer", [
    {"member;range=3-*": some(3, 5)}, {"member;range=0-1": some(0, 1)}, {"member;range=0-*": some(0, 5)}, {"member;range=2-1": []},
    {"member;range=2-9": some(2, 3)}, {"member;range=2-5": []}, {"member": some(2, 5)}, {"other;range=2-*": some(2, 5)}, {}, [],
    [(None, ["ldap://elsewhere/"])], ldap.NO_SUCH_OBJECT(), ldap.SERVER_DOWN(), ldap.PROTOCOL_ERROR(),
])  # fmt: skip
def test_parts_that_do_not_follow_each_other_are_no_answer(answer, scope):
    made, scripted = server({"member;range=0-1": some(0, 1)}, answer)
    with pytest.raises(DirectoryAway):
        made.search(DN, scope, "(cn=all)", ["member"])
    assert len(scripted.asked) == 2


@pytest.mark.parametrize("first", ["member;range=1-2", "member;range=0-5", "member;range=0-0"])
def test_the_first_part_begins_at_the_beginning_and_holds_what_it_says(first):
    made, _ = server({first: some(0, 1)})
    with pytest.raises(DirectoryAway):
        made.search(DN, "sub", "(cn=all)", ["member"])
