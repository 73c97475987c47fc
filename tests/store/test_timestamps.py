"""Tokens of a time-stamping authority: a real one, made of openssl and a small HTTP server, asked over HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from test_bundle import files_of, filled_case
from typer.testing import CliRunner

from deepscreen.bundle import verify as verifier
from deepscreen.bundle.export import export_case
from deepscreen.cli import app
from deepscreen.errors import ConfigError, StoreUnavailable
from deepscreen.settings import Settings, load_settings
from deepscreen.store import audit
from deepscreen.store.acts import CHECKPOINT_TIMESTAMPED
from deepscreen.store.authority import Authority, read_roots
from deepscreen.store.removal import sweep
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_checkpoints
from deepscreen.store.timestamps import pending, stamp_pending
from deepscreen.store.verify import verify

CONFIG = """
[ tsa ]
default_tsa = tsa_config
[ tsa_config ]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
signer_digest = sha256
ess_cert_id_chain = no
"""
EXTENSIONS = "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n"


class LocalAuthority:
    """``openssl ts`` behind HTTP; it can be out of order, or answer with the token that it gave before."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests = folder, 0
        self.is_down, self.old_token = False, b""
        _make_certificates(folder)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests += 1
                answer = outer.old_token or outer.reply(body)
                self.send_response(503 if outer.is_down else 200)
                self.end_headers()
                self.wfile.write(b"" if outer.is_down else answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        words = (
            "ts",
            "-reply",
            "-queryfile",
            "query",
            "-config",
            "tsa.cnf",
            "-section",
            "tsa_config",
            "-out",
            "answer",
        )
        _openssl(self.folder, *words)
        return (self.folder / "answer").read_bytes()


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


def _make_certificates(folder: Path) -> None:
    new = ("-newkey", "rsa:2048", "-nodes")
    _openssl(folder, "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Root", "-days", "2")
    _openssl(folder, "req", *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Authority")
    (folder / "ext").write_text(EXTENSIONS)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
    _openssl(folder, "x509", "-req", "-in", "tsa.csr", *signed, "-out", "tsa.pem")
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAuthority]:
    made = LocalAuthority(tmp_path_factory.mktemp("authority"))
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def in_order(authority: LocalAuthority) -> None:
    authority.is_down, authority.old_token = False, b""


@pytest.fixture
def asked(authority: LocalAuthority) -> Authority:
    return Authority(authority.url, read_roots(authority.folder / "ca.pem"))


def act(store: Store, subject: str) -> None:
    """Something happens, and the log is signed."""
    with store.database.write() as connection:
        audit.append(store.database, connection, actor="ada", act="screening-viewed", subject=subject)
    store.signer().checkpoint(store.database)


def flaws(store: Store, authority: LocalAuthority) -> list[str]:
    roots = read_roots(authority.folder / "ca.pem")
    return [f"{flaw.where}: {flaw.message}" for flaw in verify(store, timestamp_roots=roots)]


def test_checkpoint_is_stamped_once_and_proven(store: Store, authority: LocalAuthority, asked: Authority) -> None:
    assert stamp_pending(store, asked, every_minutes=60) == 0, "an empty log is not stamped"
    act(store, "one")
    assert stamp_pending(store, asked, every_minutes=60) == 1
    assert stamp_pending(store, asked, every_minutes=60) == 0
    assert store.signer().checkpoint(store.database) is None, "a stamp alone is no reason for another checkpoint"
    act(store, "two")
    assert pending(store, every_minutes=60) == [], "not before an hour is over"
    assert [row.seq for row in pending(store, every_minutes=0)] == [3]
    assert flaws(store, authority) == []
    assert sweep(store, grace_seconds=-10) == 0, "tokens are evidence"
    assert [flaw.where for flaw in verify(store)] == ["time stamps"], "without roots nothing is proven"


def test_queue_waits_while_the_authority_is_away(store: Store, authority: LocalAuthority, asked: Authority) -> None:
    authority.is_down = True
    for name in ("one", "two", "three"):
        act(store, name)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            stamp_pending(store, asked, every_minutes=0)
    assert len(pending(store, every_minutes=0)) == 3
    assert len(pending(store, every_minutes=60)) == 1
    authority.is_down = False
    assert stamp_pending(store, asked, every_minutes=0) == 3
    assert flaws(store, authority) == []


def test_token_of_something_else_is_refused(store: Store, authority: LocalAuthority, asked: Authority) -> None:
    act(store, "one")
    authority.old_token = asked.stamp(b"something else")[0]
    with pytest.raises(StoreUnavailable, match="proves nothing"):
        stamp_pending(store, asked, every_minutes=0)
    authority.old_token = b"no token"
    with pytest.raises(StoreUnavailable, match="proves nothing"):
        stamp_pending(store, asked, every_minutes=0)
    assert len(pending(store, every_minutes=0)) == 1


def test_token_of_another_authority_is_refused(store: Store, authority: LocalAuthority, tmp_path: Path) -> None:
    _openssl(
        tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "c", "-subj", "/CN=Root"
    )
    with pytest.raises(StoreUnavailable, match="proves nothing"):
        Authority(authority.url, read_roots(tmp_path / "c")).stamp(b"x")


def test_rewritten_checkpoint_and_removed_token_are_found(
    store: Store, authority: LocalAuthority, asked: Authority
) -> None:
    act(store, "one")
    stamp_pending(store, asked, every_minutes=0)
    with store.database.read() as connection:
        (stamp,) = (entry for entry in audit.entries(connection) if entry.act == CHECKPOINT_TIMESTAMPED)
    with store.database.write() as connection:
        connection.execute(update(audit_checkpoints).values(body=b'{"seq":1}'))
    assert any("time stamp of checkpoint 1: Mismatch" in flaw for flaw in flaws(store, authority))
    store.blobs.remove(stamp.subject)
    assert any("is gone" in flaw for flaw in flaws(store, authority))
    with store.database.write() as connection:
        connection.execute(delete(audit_checkpoints))
    assert any("the checkpoint is gone" in flaw for flaw in flaws(store, authority))


def test_settings_and_command(
    authority: LocalAuthority, asked: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSCREEN_TIMESTAMP_URL", authority.url)
    with pytest.raises(ConfigError, match="timestamp_ca_file"):
        load_settings()
    with pytest.raises(ConfigError, match="http"):
        Authority("file:///etc/passwd", ())
    with pytest.raises(ConfigError, match="PEM"):
        read_roots(authority.folder / "serial")
    monkeypatch.delenv("DEEPSCREEN_TIMESTAMP_URL")
    store = Store.open(Settings(), tmp_path)
    act(store, "one")
    stamp_pending(store, asked, every_minutes=0)
    store.close()
    words = ["verify", "--data-dir", str(tmp_path)]
    assert CliRunner().invoke(app, words).exit_code == 1
    assert CliRunner().invoke(app, [*words, "--timestamp-ca", str(authority.folder / "ca.pem")]).exit_code == 0


def test_bundle_holds_the_stamps_that_prove_its_records(
    store: Store, authority: LocalAuthority, asked: Authority, tmp_path: Path
) -> None:
    act(store, "before the case")
    stamp_pending(store, asked, every_minutes=0)
    case = filled_case(store)
    for subject in ("covers the record", "later", "newest"):
        act(store, subject)
        stamp_pending(store, asked, every_minutes=0)
    export_case(store, case, tmp_path / "case.zip", language="en", with_pdf=False)
    files = files_of((tmp_path / "case.zip").read_bytes())
    stamps = sorted(name for name in files if name.endswith(".tsr"))
    assert len(stamps) == 2, "the first that covers the record, and the newest"
    for name in stamps:
        data, answer = tmp_path / "checkpoint", tmp_path / "answer"
        data.write_bytes(files[name.replace(".tsr", ".json")])
        answer.write_bytes(files[name])
        _openssl(authority.folder, "ts", "-verify", "-data", str(data), "-in", str(answer), "-CAfile", "ca.pem")
    assert verifier.verify((tmp_path / "case.zip").read_bytes()) == []
    swapped = files | {stamps[0]: files[stamps[1]]}
    flaws = list(verifier.flaws_of(swapped))
    assert f"{stamps[0]}: the audit log does not name this time stamp" in flaws
    assert f"{stamps[0]}: is not about {stamps[0].replace('.tsr', '.json')}" in flaws
    foreign = files | {stamps[0].replace(".tsr", ".json"): b"{}"}
    assert any("no checkpoint of this log" in flaw for flaw in verifier.flaws_of(foreign))
    assert verifier.STAMPED == CHECKPOINT_TIMESTAMPED
