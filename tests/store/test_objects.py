"""Blobs in an S3-compatible store: a real server (moto's), a real client (s3fs)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from deepscreen.errors import BlobDamaged, StoreUnavailable
from deepscreen.settings import Settings
from deepscreen.store.blobs import BlobStore, sha256_of
from deepscreen.store.removal import sweep
from deepscreen.store.sealing import PIECE_BYTES, Sealer
from deepscreen.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of botocore


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket; where it is and who may enter is told as to any program that uses S3."""
    told = {
        "AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    name = secrets.token_hex(8)
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(params=[False, True], ids=["plain", "sealed"])
def blobs(request: pytest.FixtureRequest, bucket: str) -> BlobStore:
    return BlobStore(f"s3://{bucket}/evidence", Sealer(secrets.token_bytes(32)) if request.param else None)


def test_blobs_come_back_are_listed_and_removed(blobs: BlobStore, bucket: str, tmp_path: Path) -> None:
    large = secrets.token_bytes(6 * PIECE_BYTES + 5)  # s3fs sends more than 5 MiB in parts
    (tmp_path / "upload").write_bytes(large)
    blobs.put_file(tmp_path / "upload", sha256_of(large))
    small = blobs.put(b"record")
    assert blobs.put(b"record") == small
    assert blobs.read(small) == b"record"
    assert blobs.prove(sha256_of(large)) == len(large)
    with blobs.as_file(sha256_of(large), tmp_path) as path:
        assert path.read_bytes() == large
    assert set(blobs.older_than(-100)) == {small, sha256_of(large)}
    assert set(blobs.older_than(1000)) == set()
    assert blobs.free_bytes() is None
    blobs.remove(small)
    blobs.remove(small)
    assert not blobs.has(small)
    with pytest.raises(BlobDamaged, match="is gone"):
        blobs.read(small)


def test_changed_object_is_never_given(blobs: BlobStore, bucket: str) -> None:
    sha256 = blobs.put(b"record")
    client = boto3.client("s3")
    (found,) = client.list_objects_v2(Bucket=bucket)["Contents"]
    client.put_object(Bucket=bucket, Key=found["Key"], Body=b"forged")
    with pytest.raises(BlobDamaged):
        blobs.read(sha256)


def test_what_another_process_does_is_seen_at_once(bucket: str) -> None:
    mine, other = (BlobStore(f"s3://{bucket}/evidence") for _ in range(2))
    sha256 = sha256_of(b"record")
    assert not mine.has(sha256)
    other.put(b"record")
    assert mine.has(sha256)
    other.remove(sha256)
    assert not mine.has(sha256)


def test_server_that_does_not_answer_is_told_as_such(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreUnavailable):
        BlobStore("s3://no-such-bucket-at-all/x").put(b"record")


def test_line_that_is_cut_is_an_outage_and_no_fault_of_the_file(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = BlobStore(f"s3://{bucket}/x")

    def cut(path: str) -> bool:
        raise EndpointConnectionError(endpoint_url="http://gone")

    monkeypatch.setattr(blobs._fs, "exists", cut)
    for ask in (blobs.has, blobs.read):
        with pytest.raises(StoreUnavailable):
            ask(sha256_of(b"record"))


def test_sweep_works_on_objects(bucket: str, tmp_path: Path) -> None:
    store = Store.open(Settings(data_dir=tmp_path, blob_url=f"s3://{bucket}/x"), tmp_path)
    store.blobs.put(b"nobody's")
    assert sweep(store, grace_seconds=-100) == 1
    store.close()
