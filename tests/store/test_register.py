"""The misuse register: revisions, campaigns, marks, imports, on both databases, with an audit entry for every act."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from deepscreen.errors import EntryAboveTlp, EntryChanged
from deepscreen.register import joining
from deepscreen.register.book import Filters, Register, TakenIn
from deepscreen.register.campaigns import Member, campaigns_of
from deepscreen.register.entry import Entry, Statement, Status, Tlp
from deepscreen.register.exchange import ExchangeFormat, read, written
from deepscreen.register.rows import Kept
from deepscreen.register.subject import Subject
from deepscreen.settings import Settings
from deepscreen.store import audit
from deepscreen.store.backup import back_up, restore
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import NotThere
from deepscreen.store.store import Store
from deepscreen.store.verify import verify

ADMIN, ADA, BEN = Caller("root", Role.ADMIN), Caller("ada", Role.EXAMINER), Caller("ben", Role.EXAMINER)
PICTURE = np.random.default_rng(7).bytes(32)
NEAR = bytes([PICTURE[0] ^ 0b1011, *PICTURE[1:]])
OTHER = np.random.default_rng(8).bytes(32)


@pytest.fixture
def register(store: Store) -> Register:
    return Register(store.database)


@pytest.fixture
def elsewhere(tmp_path: Any) -> Iterator[Register]:
    """The register of another laboratory."""
    store = Store.open(Settings(), tmp_path / "elsewhere")
    yield Register(store.database)
    store.close()


def stated(**fields: Any) -> Statement:
    return Statement(**{"tool": "FaceSwapper 3", "tlp": "green", **fields})


def subject(content: bytes | None = PICTURE, name: str = "11") -> Subject:
    fingerprint = None if content is None else base64.b64encode(content).decode()
    return Subject("image", name * 32, fingerprint)


def add(register: Register, caller: Caller = ADA, about: Subject | None = None, **fields: Any) -> Kept:
    return register.add(caller, stated(**fields), about or subject(), screening_id="5f" * 16)


def acts(store: Store) -> list[tuple[str, str]]:
    with store.database.read() as connection:
        return [(entry.actor, entry.act) for entry in audit.entries(connection)]


def test_entry_is_kept_as_it_was_stated(register: Register, store: Store) -> None:
    made = add(register, modus_operandi="Video call.\nThen an order to pay.", case_reference="2026-117")
    assert made == register.get(made.id, BEN)
    assert (made.entry.modus_operandi, made.entry.revision, made.created_by, made.campaign) == (
        "Video call.\nThen an order to pay.", 1, "ada", None,
    )  # fmt: skip
    assert made.entry.fingerprint_bytes() == PICTURE
    assert acts(store) == [("ada", "misuse-added")]


def test_amendment_is_another_revision_and_the_first_one_stays(register: Register, store: Store) -> None:
    made = add(register)
    rita = Caller("rita", Role.REVIEWER)
    register.amend(made.id, rita, stated(status="confirmed"), revision=1, reason="Found on a computer.")
    now, first = register.history(made.id, ADA)
    assert (now.entry.status, now.entry.revision, now.revised_by, now.reason, now.created_by) == (
        Status.CONFIRMED, 2, "rita", "Found on a computer.", "ada",
    )  # fmt: skip
    assert first.entry == made.entry
    assert [kept.id for kept in register.page(ADA, Filters(), limit=9)] == [made.id]
    with pytest.raises(EntryChanged, match="revision 2 stands"):
        register.amend(made.id, rita, stated(), revision=1, reason="too late")
    with store.database.read() as connection:
        last = audit.entries(connection, subject=made.id)[-1]
    digest = hashlib.sha256(b"Found on a computer.").hexdigest()
    assert (last.act, last.details) == (
        "misuse-amended", {"revision": 2, "changed": "status", "reason_sha256": digest},
    )  # fmt: skip
    assert list(verify(store)) == []


def test_copies_are_one_campaign_and_a_third_joins_it(register: Register) -> None:
    first, other = add(register), add(register, about=subject(OTHER, "22"))
    assert (first.campaign, other.campaign) == (None, None)
    copy = add(register, BEN, subject(NEAR, "33"))
    again = add(register, BEN, subject(None, "22"))
    campaigns = {kept.id: kept.campaign for kept in register.page(ADA, Filters(), limit=9)}
    assert campaigns == {first.id: first.id, copy.id: first.id, other.id: other.id, again.id: other.id}
    register.amend(copy.id, ADMIN, stated(status="confirmed"), revision=1, reason="x")
    found = register.page(ADA, Filters(campaign=first.id), limit=9)
    assert {kept.id for kept in found} == {first.id, copy.id}


def test_campaign_goes_across_kinds_by_one_hash(register: Register) -> None:
    first = add(register)
    second = add(register, about=Subject("audio", "11" * 32, None))
    third = add(register, about=subject(NEAR, "33"))
    found = register.page(ADA, Filters(campaign=first.id), limit=9)
    assert {kept.id for kept in found} == {first.id, second.id, third.id}


def test_campaigns_are_foreseen_before_others_have_to_wait(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """And found anew where another entry came meanwhile."""
    first = add(register)
    compared: list[int] = []

    def watched(members: Sequence[Member]) -> dict[str, str]:
        compared.append(len(members))
        if compared == [2, 3]:
            add(register, about=subject(NEAR, "55"))
        return campaigns_of(members)

    monkeypatch.setattr(joining, "campaigns_of", watched)
    one = first.entry.model_copy(update={"id": "5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e15"})
    register.take_in(ADMIN, [one], origin="north")
    assert compared == [2]
    two = first.entry.model_copy(update={"id": "5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e16"})
    register.take_in(ADMIN, [two], origin="north")
    assert compared == [2, 3, 4]
    assert [kept.campaign for kept in register.page(ADA, Filters(), limit=9)] == [min(first.id, one.id)] * 4


def test_files_that_go_out_and_come_in_are_in_the_audit_log(register: Register, store: Store) -> None:
    add(register)
    shared = register.share(ADMIN, tlp=Tlp.GREEN, file_format="stix")
    assert shared.content == written(shared.entries, ExchangeFormat.STIX)
    register.take_in(ADMIN, [], origin="north", file_sha256="ab" * 32)
    with store.database.read() as connection:
        out, taken_in = audit.entries(connection)[-2:]
    assert out.details["file_sha256"] == hashlib.sha256(shared.content).hexdigest()
    assert taken_in.details["file_sha256"] == "ab" * 32


def test_lists_are_filtered_searched_and_paged(register: Register) -> None:
    one = add(register, tool="VoiceBox", tool_kind="voice_clone", misuse="extortion", case_reference="A-1")
    two = add(register, tool="100 %", modus_operandi="by a voice on the telephone", tlp="amber")

    def found(**filters: Any) -> list[str]:
        return [kept.id for kept in register.page(ADA, Filters(**filters), limit=9)]

    assert found() == [two.id, one.id]
    assert found(tool="voice") == found(case_reference="A-1") == found(misuse="extortion") == [one.id]
    assert found(text="VOICE") == [two.id, one.id]
    assert found(tool="0 %") == found(tlp="amber") == [two.id]
    assert found(text="_") == found(status="dismissed") == found(media_sha256="00" * 32) == []
    first = register.page(ADA, Filters(), limit=1)
    rest = register.page(ADA, Filters(), limit=9, before=(first[0].created_at, first[0].id))
    assert [kept.id for kept in first + rest] == [two.id, one.id]


def test_red_entries_of_others_are_not_for_examiners(register: Register) -> None:
    red = add(register, tlp="red")
    assert register.page(BEN, Filters(), limit=9) == []
    with pytest.raises(NotThere):
        register.get(red.id, BEN)
    assert register.page(ADA, Filters(), limit=9) == register.page(ADMIN, Filters(), limit=9) == [red]
    with pytest.raises(NotThere):
        register.get("no such id", ADMIN)


def test_revisions_that_were_red_stay_hidden(register: Register) -> None:
    made = add(register, tlp="red", tool="for named people")
    register.amend(made.id, ADMIN, stated(), revision=1, reason="x")
    assert [kept.entry.revision for kept in register.history(made.id, BEN)] == [2]
    for caller in (ADA, ADMIN):
        assert [kept.entry.revision for kept in register.history(made.id, caller)] == [2, 1]


def test_campaign_tells_no_id_of_a_red_entry(register: Register) -> None:
    red, seen = add(register, tlp="red"), add(register, BEN, subject(NEAR, "33"))
    assert (seen.campaign, register.get(seen.id, BEN).campaign) == (None, None)
    assert register.page(BEN, Filters(campaign=red.id), limit=9) == []
    assert register.page(BEN, Filters(campaign=seen.id), limit=9) == []
    third = add(register, BEN, subject(NEAR, "44"))
    assert third.campaign == register.get(seen.id, BEN).campaign == seen.id
    found = register.page(BEN, Filters(campaign=seen.id), limit=9)
    assert [(kept.id, kept.campaign) for kept in found] == [(third.id, seen.id), (seen.id, seen.id)]
    assert register.page(BEN, Filters(campaign=red.id), limit=9) == []
    assert register.page(BEN, Filters(campaign=third.id), limit=9) == []
    for caller in (ADA, ADMIN):
        assert {kept.campaign for kept in register.page(caller, Filters(campaign=red.id), limit=9)} == {red.id}


def test_mark_that_others_set_is_never_lowered(register: Register) -> None:
    theirs = add(register).entry.model_copy(update={"id": "5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e15", "tlp": Tlp.AMBER})
    register.take_in(ADMIN, [theirs], origin="north")
    with pytest.raises(EntryAboveTlp, match="given under TLP:amber"):
        register.amend(theirs.id, ADMIN, stated(tlp="green"), revision=1, reason="x")
    raised = register.amend(theirs.id, ADMIN, stated(tlp="amber+strict"), revision=1, reason="x")
    assert raised.entry.tlp is Tlp.AMBER_STRICT
    register.take_in(ADMIN, [theirs.model_copy(update={"revision": 3, "tlp": Tlp.CLEAR})], origin="north")
    assert register.get(theirs.id, ADMIN).entry.tlp is Tlp.CLEAR, "who gave it may"


def test_nothing_above_the_mark_goes_out(register: Register, store: Store) -> None:
    made = {tlp: add(register, tlp=tlp).id for tlp in Tlp}
    for number, audience in enumerate(Tlp):
        shared = register.share(ADMIN, tlp=audience, file_format="csv")
        assert [kept.entry.tlp for kept in shared.entries] == list(Tlp)[: number + 1]
        assert shared.left_out == 4 - number
    with pytest.raises(EntryAboveTlp, match=r"marked amber\+strict and may not go out as TLP:amber"):
        register.share(ADMIN, tlp=Tlp.AMBER, file_format="csv", ids=[made[Tlp.GREEN], made[Tlp.AMBER_STRICT]])
    with pytest.raises(NotThere):
        register.share(ADMIN, tlp=Tlp.RED, file_format="csv", ids=[made[Tlp.GREEN], "no such id"])
    assert acts(store)[5:] == [("root", "misuse-exported")] * 5, "what was refused did not go out"


@pytest.mark.parametrize("file_format", ExchangeFormat)
def test_what_one_exports_another_imports(register: Register, elsewhere: Register, file_format: ExchangeFormat) -> None:
    """Over real files: entries, campaigns and amendments arrive, and coming back they change nothing."""
    first = add(register, modus_operandi="=1+1\nVideo call.", misuse="fraud")
    add(register, about=subject(NEAR, "33"), tlp="amber+strict", status="dismissed")

    def sent(source: Register) -> list[Entry]:
        shared = source.share(ADMIN, tlp=Tlp.RED, file_format=file_format)
        return read(written(shared.entries, file_format), file_format)

    assert elsewhere.take_in(ADMIN, sent(register), origin="north") == TakenIn(2, 0, 0, ())
    arrived = elsewhere.page(ADMIN, Filters(), limit=9)
    assert [kept.entry for kept in arrived] == [kept.entry for kept in register.page(ADMIN, Filters(), limit=9)]
    assert {(kept.origin, kept.campaign, kept.screening_id) for kept in arrived} == {("north", first.id, None)}
    assert elsewhere.take_in(ADMIN, sent(register), origin="north") == TakenIn(0, 0, 2, ())
    register.amend(first.id, ADMIN, stated(status="confirmed"), revision=1, reason="x")
    assert elsewhere.take_in(ADMIN, sent(register), origin="north") == TakenIn(0, 1, 1, ())
    history = elsewhere.history(first.id, ADMIN)
    assert [(kept.entry.revision, kept.entry.status) for kept in history] == [(2, "confirmed"), (1, "suspected")]
    assert history[0].campaign == first.id
    earlier = elsewhere.history(first.id, ADMIN)[1].entry
    assert register.take_in(ADMIN, [earlier], origin="south") == TakenIn(0, 0, 1, ()), "our own, as it once was"
    back = sent(elsewhere)
    assert [entry.id for entry in back] == [first.id], "what was given under AMBER+STRICT is not handed on"
    assert register.take_in(ADMIN, back, origin="south") == TakenIn(0, 0, 1, ())


def test_import_never_changes_what_is_ours_or_anothers(register: Register) -> None:
    ours = add(register)
    forged = ours.entry.model_copy(update={"revision": 9, "tool": "forged", "tlp": Tlp.CLEAR})
    assert register.take_in(ADMIN, [forged], origin="north").refused == (ours.id,)
    assert register.get(ours.id, ADMIN) == ours
    theirs = ours.entry.model_copy(update={"id": "5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e15"})
    register.take_in(ADMIN, [theirs], origin="north")
    other = theirs.model_copy(update={"revision": 2, "tool": "forged"})
    assert register.take_in(ADMIN, [other], origin="south").refused == (theirs.id,)
    swapped = other.model_copy(update={"media_sha256": "ff" * 32})
    assert register.take_in(ADMIN, [swapped], origin="north").refused == (theirs.id,), "an entry keeps its file"
    other_first = theirs.model_copy(update={"tool": "of the same revision"})
    assert register.take_in(ADMIN, [other_first], origin="north") == TakenIn(0, 0, 0, (theirs.id,))
    assert register.get(theirs.id, ADMIN).entry == theirs


def test_register_survives_a_backup(store: Store, tmp_path: Any) -> None:
    made = add(Register(store.database))
    back_up(store, tmp_path / "backup", with_key=False)
    restored = Store.open(Settings(), tmp_path / "restored")
    restore(restored, tmp_path / "backup")
    assert Register(restored.database).get(made.id, ADA) == made
    restored.close()
