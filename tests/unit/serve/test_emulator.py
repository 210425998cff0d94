"""S3, IAM and STS behind the server's own front, through boto3 as it comes."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sqlora.platform.state import State
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.aws.api import AwsApi
from sqlora.serve.emulator import aws_emulator
from tests.unit.serve.aws.running import client, running

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        State(tmp_path_factory.mktemp("emulator") / "state.db") as state,
        running(AwsApi({}, Authenticate(state.keys, True), aws_emulator())) as found,
    ):
        yield found


@pytest.fixture
def s3(url: str) -> Any:
    return client("s3", url)


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    """A new one for each test: moto's are the process's."""
    name = f"b-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


def keys(s3: Any, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def signed(url: str, method: str, path: str, service: str = "s3", body: bytes = b"") -> dict[str, str]:
    """Headers of a request that a client other than boto3 might make."""
    request = AWSRequest(method, url + path, data=body)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials("AKIDEXAMPLE", "secret"), service, "eu-central-1").add_auth(request)
    return dict(request.headers)


def send(url: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    """Status, headers and body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    with closing(connection):
        connection.request(method, path, body or None, headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


# S3 -------------------------------------------------------------------------------------------------------------------


def test_a_file_of_many_parts_comes_back_as_it_went(s3: Any, bucket: str, tmp_path: Path) -> None:
    content = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() * 1024 for n in range(20 * 32))  # 20 MB
    (tmp_path / "up").write_bytes(content)
    s3.upload_file(str(tmp_path / "up"), bucket, "large", Config=TransferConfig(multipart_threshold=8 * MEGABYTE))
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ContentLength"] == len(content)
    assert head["ETag"].endswith('-3"')  # it went in three parts
    s3.download_file(bucket, "large", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == content


@pytest.mark.parametrize(
    "key",
    [
        "a/b.jsonl",
        "s3://bucket/datasets/train.jsonl",  # AWS's notebook gives a whole URI as a key's prefix
        "a%2Fb",
        "a b+c&d=e?f#g",
        "Köln/東京",
        "../../etc/passwd",
        "/leading",
        "a//b",
        "v1/chat/completions",
    ],
)
def test_any_key_is_only_a_name(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert keys(s3, bucket) == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert keys(s3, bucket) == []


def test_metadata_keep_their_names(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"", Metadata={"made_by": "sqlora", "made-for": "bi"})
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {"made_by": "sqlora", "made-for": "bi"}


def test_presigned_urls(s3: Any, bucket: str) -> None:
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b"})
    urllib.request.urlopen(urllib.request.Request(put, b"by url", method="PUT"), timeout=20).close()
    got = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"})
    with urllib.request.urlopen(got, timeout=20) as response:
        assert response.read() == b"by url"


def test_a_buckets_policy_shuts_nobody_out(s3: Any, bucket: str) -> None:
    """No policy is enforced, so neither is one that wants TLS of a server that is reached without."""
    arns = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": arns}
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    s3.put_object(Bucket=bucket, Key="train.jsonl", Body=b"{}")
    assert s3.get_object(Bucket=bucket, Key="train.jsonl")["Body"].read() == b"{}"
    assert keys(s3, bucket) == ["train.jsonl"]
    s3.delete_object(Bucket=bucket, Key="train.jsonl")


def test_errors_are_s3s_own(s3: Any, bucket: str) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="none")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="no-such-bucket")
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket="no-such-bucket")
    assert caught.value.response["Error"]["Code"] == "404"


def test_the_region_is_the_one_signed_for(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-central-1"


def test_buckets_are_in_the_path_under_any_host_name(url: str, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    path = f"/{bucket}/a"
    headers = signed("http://sqlora.example.com", "GET", path) | {"Host": "sqlora.example.com"}
    assert send(url, "GET", path, headers=headers)[::2] == (200, b"x")


def test_no_web_page_may_read_a_bucket(url: str, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    path = f"/{bucket}/a"
    _, headers, _ = send(url, "GET", path, headers={**signed(url, "GET", path), "Origin": "http://evil.example"})
    assert not [name for name in headers if name.lower().startswith("access-control-")]


def test_a_body_that_is_not_the_signed_one_is_not_stored(url: str, s3: Any, bucket: str) -> None:
    path = f"/{bucket}/a"
    status, _, body = send(url, "PUT", path, b"forged", signed(url, "PUT", path, body=b"signed"))
    assert (status, b"XAmzContentSHA256Mismatch" in body) == (400, True)
    assert keys(s3, bucket) == []


def test_half_a_body_is_not_stored(url: str, s3: Any, bucket: str) -> None:
    path = f"/{bucket}/a"
    headers = signed(url, "PUT", path, body=b"half and half")
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=20) as half:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        half.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{head}Content-Length: 13\r\n\r\nhalf".encode()
        )
        half.shutdown(socket.SHUT_WR)
        half.recv(4096)
    assert keys(s3, bucket) == []


def test_a_slow_upload_holds_up_nobody(url: str, s3: Any, bucket: str) -> None:
    path = f"/{bucket}/slow"
    headers = signed(url, "PUT", path, body=b"abcd")
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.putrequest("PUT", path)
    for name, value in {**headers, "Content-Length": "4"}.items():
        connection.putheader(name, value)
    connection.endheaders(b"ab")
    s3.put_object(Bucket=bucket, Key="quick", Body=b"x")
    assert keys(s3, bucket) == ["quick"]
    connection.send(b"cd")
    assert connection.getresponse().status == 200
    assert s3.get_object(Bucket=bucket, Key="slow")["Body"].read() == b"abcd"
    connection.close()


def test_many_clients_at_once(s3: Any, bucket: str) -> None:
    def work(n: int) -> bool:
        s3.put_object(Bucket=bucket, Key=f"{n:03}", Body=b"%d" % n)
        s3.list_objects_v2(Bucket=bucket)
        return bool(s3.get_object(Bucket=bucket, Key=f"{n:03}")["Body"].read() == b"%d" % n)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(80)))
    assert len(keys(s3, bucket)) == 80


# IAM and STS ----------------------------------------------------------------------------------------------------------


def test_the_account_is_the_one_of_all_arns(url: str) -> None:
    assert client("sts", url).get_caller_identity()["Account"] == "123456789012"


def test_a_role_and_awss_own_policies(url: str) -> None:
    iam, document = client("iam", url), json.dumps({"Version": "2012-10-17", "Statement": []})
    policy = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    role = iam.create_role(RoleName="emulator-role", AssumeRolePolicyDocument=document)["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/emulator-role"
    iam.attach_role_policy(RoleName="emulator-role", PolicyArn=policy)
    attached = iam.list_attached_role_policies(RoleName="emulator-role")["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [policy]
    assumed = client("sts", url).assume_role(RoleArn=role["Arn"], RoleSessionName="notebook")
    assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/emulator-role/notebook"
    iam.detach_role_policy(RoleName="emulator-role", PolicyArn=policy)
    iam.delete_role(RoleName="emulator-role")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="emulator-role")


# what is not there ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["dynamodb", "ec2", "lambda", "s3-outposts", "moto_api"])
def test_other_services_are_refused(url: str, service: str) -> None:
    status, _, body = send(url, "POST", "/", b"{}", signed(url, "POST", "/", service, b"{}"))
    assert status in (400, 403, 404)
    assert b"Code>" in body or b"message" in body


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/data.json", "/latest/meta-data/iam"])
def test_motos_own_endpoints_are_only_names_of_buckets(url: str, s3: Any, bucket: str, path: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    method = "POST" if path.endswith("reset") else "GET"
    assert send(url, method, path, headers=signed(url, method, path))[0] in (400, 404)
    assert keys(s3, bucket) == ["a"]


def test_what_moto_cannot_do_is_no_failure_of_the_server(url: str, bucket: str) -> None:
    path, body = f"/{bucket}?tagging", b"<not-xml"
    status, _, answer = send(url, "PUT", path, body, signed(url, "PUT", path, body=body))
    assert status == 400
    assert b"<Code>" in answer
