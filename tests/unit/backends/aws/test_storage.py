from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.storage import PART_BYTES, Storage, split
from sqlora.errors import AccountError, ConfigError, NotFoundError
from sqlora.platform.ledger import Resource
from sqlora.platform.state import State
from sqlora.settings import AwsSection
from tests.conformance.cloud import BUCKET, account_of, cloud_project
from tests.wire.live import Live, live


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("storage") / "server", aws=True) as running:
        yield running


@pytest.fixture
def account(server: Live, tmp_path: Path) -> Iterator[Account]:
    made = account_of(cloud_project(tmp_path, server.url))
    made.client("s3").create_bucket(Bucket=BUCKET)
    yield made
    made.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def storage(account: Account, state: State) -> Storage:
    return Storage(account, state, "bedrock", "Larkspur Markets")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"one\ntwo\n")
    return path


def head(account: Account, row: Resource) -> dict[str, object]:
    bucket, key = split(row.arn or "")
    found: dict[str, object] = account.client("s3").head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return found


def test_what_is_uploaded_is_encrypted_checked_tagged_and_in_the_ledger(
    storage: Storage, account: Account, state: State, file: Path
) -> None:
    row = storage.upload(file, "datasets/x/train.jsonl")
    assert row.arn == f"s3://{BUCKET}/sqlora/{row.id}/datasets/x/train.jsonl"
    assert storage.read(row.arn) == b"one\ntwo\n"
    found = head(account, row)
    assert found["ServerSideEncryption"] == "AES256"
    assert found["ChecksumSHA256"]
    bucket, key = split(row.arn)
    tags = account.client("s3").get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"sqlora:id": row.id, "sqlora:project": "larkspur-markets"}
    assert state.ledger.find("object", row.arn) == row


def test_the_same_content_is_uploaded_once(storage: Storage, state: State, file: Path) -> None:
    first = storage.upload(file, "train.jsonl")
    assert storage.upload(file, "train.jsonl") == first
    file.write_bytes(b"other")
    second = storage.upload(file, "train.jsonl")
    assert second.id != first.id
    assert len(state.ledger.list(kind="object")) == 2


def test_what_is_gone_is_uploaded_again_to_the_same_place(storage: Storage, account: Account, file: Path) -> None:
    row = storage.upload(file, "train.jsonl")
    bucket, key = split(row.arn or "")
    account.client("s3").delete_object(Bucket=bucket, Key=key)
    assert storage.upload(file, "train.jsonl") == row
    assert storage.read(row.arn or "") == b"one\ntwo\n"


def test_a_large_file_goes_in_parts(storage: Storage, account: Account, tmp_path: Path) -> None:
    data = os.urandom(2 * PART_BYTES + 5)
    (tmp_path / "large.jsonl").write_bytes(data)
    row = storage.upload(tmp_path / "large.jsonl", "large.jsonl")
    assert str(head(account, row)["ETag"]).strip('"').endswith("-3")
    assert storage.read(row.arn or "") == data


def test_a_key_of_the_users_own_encrypts(account: Account, state: State, file: Path) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    own = Account(account.settings.model_copy(update={"kms_key": key}))
    own.client = account.client  # type: ignore[method-assign]
    own.__dict__["_identity"] = {"Account": account.id, "Arn": account.caller}
    found = head(account, Storage(own, state, "bedrock", "x").upload(file, "train.jsonl"))
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key)


def test_removing_takes_its_own_and_nothing_else(storage: Storage, account: Account, state: State, file: Path) -> None:
    s3 = account.client("s3")
    row, folder = storage.upload(file, "train.jsonl"), storage.folder("jobs/x")
    others = storage.folder("jobs/x")
    bucket, key = split(folder.arn or "")
    for name in ("a.csv", "deep/er/b.csv"):
        s3.put_object(Bucket=bucket, Key=key + name, Body=b"x")
    s3.put_object(Bucket=bucket, Key=split(others.arn or "")[1] + "a.csv", Body=b"x")
    s3.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    broken = s3.create_multipart_upload(Bucket=bucket, Key=key + "broken")
    assert storage.list(folder.arn or "") == [f"{folder.arn}a.csv", f"{folder.arn}deep/er/b.csv"]
    storage.remove(folder)
    storage.remove(row)
    assert storage.list(folder.arn or "") == []
    assert storage.read(row.arn or "") is None
    assert storage.list(others.arn or "") == [f"{others.arn}a.csv"]
    assert storage.read(f"s3://{bucket}/theirs") == b"x"
    uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert broken["UploadId"] not in [upload["UploadId"] for upload in uploads]
    assert [left.id for left in state.ledger.list(kind="object")] == [others.id]


def test_a_folder_whose_process_died_before_it_was_noted_is_the_next_ones(storage: Storage, state: State) -> None:
    job = state.ledger.plan("bedrock", "job", "x")
    folder = storage.folder("jobs/x", job.id)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(state.ledger, "created", lambda id, arn: pytest.fail("died"))
        with pytest.raises(pytest.fail.Exception):
            storage.folder("jobs/y", job.id)
    [planned] = [row for row in state.ledger.list(kind="object") if row.status == "planned"]
    assert storage.folder("jobs/y", job.id).arn == f"s3://{BUCKET}/sqlora/{planned.id}/jobs/y/"
    assert storage.folder("jobs/x", job.id) == folder
    assert len(state.ledger.list(kind="object")) == 2


def test_removing_from_a_bucket_that_is_gone(storage: Storage, state: State) -> None:
    row = state.ledger.plan(
        "bedrock", "object", "x", account="123456789012", region="us-east-1", details={"bucket": "nowhere-at-all"}
    )
    storage.remove(row)
    assert state.ledger.get(row.id).status == "deleted"


def test_another_account_is_left_alone(storage: Storage, state: State, file: Path) -> None:
    row = storage.upload(file, "train.jsonl")
    with pytest.raises(AccountError, match="999999999999"):
        storage.remove(replace(row, account="999999999999"))
    assert state.ledger.get(row.id).status == "created"


def test_the_bucket_is_the_settings_else_the_ledgers(account: Account, state: State) -> None:
    bare = Account(AwsSection(endpoint_url=account.settings.endpoint_url))
    bare.__dict__["_identity"] = {"Account": account.id, "Arn": account.caller}
    storage = Storage(bare, state, "sagemaker", "x")
    with pytest.raises(ConfigError) as caught:
        storage.bucket()
    assert "sqlora doctor --backend sagemaker --fix" in (caught.value.next_step or "")
    for region in ("us-east-1", "eu-west-1"):
        row = state.ledger.plan("bedrock", "bucket", f"in-{region}", account=account.id, region=region)
        state.ledger.created(row.id, f"arn:aws:s3:::{row.name}")
    assert storage.bucket() == "in-us-east-1"


def test_an_upload_that_fails_leaves_a_planned_row_that_the_next_one_takes(
    account: Account, state: State, file: Path
) -> None:
    nowhere = Account(account.settings.model_copy(update={"bucket": "nowhere-at-all"}))
    nowhere.client = account.client  # type: ignore[method-assign]
    nowhere.__dict__["_identity"] = {"Account": account.id, "Arn": account.caller}
    storage = Storage(nowhere, state, "bedrock", "x")
    with pytest.raises(NotFoundError, match="upload"):
        storage.upload(file, "train.jsonl")
    [planned] = state.ledger.list(kind="object")
    account.client("s3").create_bucket(Bucket="nowhere-at-all")
    assert storage.upload(file, "train.jsonl").id == planned.id
