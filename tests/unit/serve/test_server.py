"""The process around the protocols: one server a project, keys before strangers, and an orderly end."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import EventStreamError

from sqlora.backends import serving as backend_serving
from sqlora.engines.base import Delta
from sqlora.errors import BusyError, ConfigError, NotFoundError
from sqlora.platform.keys import Keys
from sqlora.platform.state import State
from sqlora.project import load_project
from sqlora.prompting import record
from sqlora.serve.running import ask_server
from sqlora.serve.server import Listening, environment, is_loopback, listen, run
from tests.conformance.echo import EchoEngine
from tests.conformance.workplace import write_project
from tests.unit.platform.fake_training import COMMAND
from tests.unit.serve.live import boto, close_clients, openai, until

USER = [{"role": "user", "content": [{"text": "how many?"}]}]


def open_base(name: str) -> backend_serving.Served:
    engine = EchoEngine()
    return backend_serving.Served(engine, engine.tokenizer)


class Running:
    """`run` in a thread, until it is left."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.project = load_project(
            folder, {f"serve.{key}": value for key, value in {"port": 0, **settings}.items()}, {}
        )
        self.listening: Listening | None = None
        self.error: BaseException | None = None
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            run(self.project, self._listens, open_base=open_base, worker_command=COMMAND)
        except BaseException as error:
            self.error = error
        finally:
            self._ready.set()

    def _listens(self, listening: Listening) -> None:
        self.listening = listening
        self._ready.set()

    def start(self) -> Listening:
        self.thread.start()
        assert self._ready.wait(30)
        if self.error is not None:
            self.thread.join()
            raise self.error
        assert self.listening is not None
        return self.listening

    def end(self) -> None:
        close_clients()
        if self.listening is not None:
            self.listening.stop()
        self.thread.join()
        if self.error is not None:
            raise self.error


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Listening]:
    made = Running(folder, **settings)
    listening = made.start()
    try:
        yield listening
    finally:
        made.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def test_all_protocols_answer_behind_one_url(folder: Path) -> None:
    with running(folder) as listening:
        answer = boto(listening.url).converse(modelId="amazon.nova-micro-v1:0", messages=USER)
        assert answer["output"]["message"]["content"][0]["text"] == "base: how many?"
        assert boto(listening.url, "bedrock").list_custom_models()["modelSummaries"] == []
        assert boto(listening.url, "sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
        assert [model.id for model in openai(listening.url).models.list()] == ["base"]
        assert listening.environment["OPENAI_BASE_URL"] == f"{listening.url}/v1"
        assert not listening.keys
        with pytest.raises(Exception, match="sqlora serve --aws"):
            boto(listening.url, "sts").get_caller_identity()


def test_with_aws_the_account_and_buckets_are_there_too(folder: Path) -> None:
    with running(folder, aws=True) as listening:
        assert dict(listening.environment)["AWS_ENDPOINT_URL"] == listening.url
        assert boto(listening.url, "sts").get_caller_identity()["Account"] == "123456789012"


def test_a_second_server_is_refused_and_the_first_goes_on(folder: Path) -> None:
    with running(folder) as listening:
        with pytest.raises(BusyError, match=f"process {os.getpid()} at {listening.url}"):
            Running(folder).start()
        assert openai(listening.url).models.list()
    with running(folder):
        pass


def test_the_file_of_a_running_server_is_its_owners_and_goes_with_it(folder: Path) -> None:
    file = folder / ".sqlora" / "server.json"
    project = load_project(folder, environ={})
    with running(folder) as listening:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["url"] == listening.url
        found = ask_server(project.paths, "/sqlora/residency")
        assert (found["url"], found["adapters"]) == (listening.url, [])
    assert not file.exists()
    with pytest.raises(NotFoundError, match="no server runs"):
        ask_server(project.paths, "/sqlora/residency")


def test_a_file_left_by_one_that_was_killed_means_nothing(folder: Path) -> None:
    left = {"pid": 1, "url": "http://127.0.0.1:1", "token": "x", "certificate": None}
    (folder / ".sqlora").mkdir(exist_ok=True)
    (folder / ".sqlora" / "server.json").write_text(json.dumps(left))
    with pytest.raises(NotFoundError, match="no server runs"):
        ask_server(load_project(folder, environ={}).paths, "/sqlora/residency")
    with running(folder) as listening:
        assert listening.url != left["url"]


def test_others_can_reach_it_only_when_somebody_has_a_key(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"other machines can reach 0\.0\.0\.0"):
        Running(folder, host="0.0.0.0").start()
    with State(folder / ".sqlora" / "state.db") as state:
        key = Keys(state).create("app", frozenset({"invoke"}))
        state.keys.revoke("app")
    with pytest.raises(ConfigError, match="no key keeps them out"):
        Running(folder, host="0.0.0.0").start()
    with State(folder / ".sqlora" / "state.db") as state:
        key = Keys(state).create("app", frozenset({"invoke"}))
    with running(folder, host="0.0.0.0") as listening:
        assert listening.keys
        client = boto(listening.url, key=key.id, secret=key.secret_access_key)
        assert client.converse(modelId="base", messages=USER)["stopReason"] == "end_turn"
        with pytest.raises(Exception, match="InvalidSignatureException"):
            boto(listening.url, key=key.id, secret="guess").converse(modelId="base", messages=USER)
        project = load_project(folder, environ={})
        assert ask_server(project.paths, "/sqlora/residency")["url"] == listening.url  # this machine's user needs none


def test_a_port_that_is_taken_is_said(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}"):
            Running(folder, port=port).start()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Self-signed, for another name than the one it is reached by."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sqlora.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(form))
    (folder / "key.pem").write_bytes(
        key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


def test_tls(folder: Path) -> None:
    cert, key = certificate(folder)
    with running(folder, tls_cert=str(cert), tls_key=str(key)) as listening:
        assert listening.url.startswith("https://127.0.0.1:")
        found = ask_server(load_project(folder, environ={}).paths, "/sqlora/residency")
        assert found["url"] == listening.url
    with pytest.raises(ConfigError, match="cannot use"):
        Running(folder, tls_cert=str(key), tls_key=str(cert)).start()
    with pytest.raises(ConfigError, match="come together"):
        Running(folder, tls_cert=str(cert))


def test_an_answer_that_takes_too_long_is_cut_when_it_stops(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlora.serve.server.GRACE_SECONDS", 0.1)
    go = threading.Event()

    def slow(engine: EchoEngine, request: Any) -> Iterator[Delta]:
        yield Delta("SEL", 1)
        while not go.is_set():
            yield Delta("x", 1)
            go.wait(0.02)

    monkeypatch.setattr(EchoEngine, "stream", slow)
    try:
        with running(folder) as listening:
            stream = boto(listening.url).converse_stream(modelId="base", messages=USER)["stream"]
            events = iter(stream)
            assert next(events) == {"messageStart": {"role": "assistant"}}
            listening.stop()
            with pytest.raises(EventStreamError, match="serviceUnavailableException"):
                list(events)
            stream.close()
    finally:
        go.set()
    with State(folder / ".sqlora" / "state.db") as state:
        assert state.usage.list()[0].output_tokens > 0


def test_a_job_reads_the_servers_own_s3_with_keys_and_behind_tls(folder: Path) -> None:
    """The job's own client has a key that nobody else knows, and meets a certificate for another name."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    cert, tls_key = certificate(folder)
    with State(folder / ".sqlora" / "state.db") as state:
        key = Keys(state).create("lab", frozenset({"train"}))
    with running(folder, aws=True, tls_cert=str(cert), tls_key=str(tls_key)) as listening:
        s3, bedrock = (
            boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=listening.url,
                aws_access_key_id=key.id,
                aws_secret_access_key=key.secret_access_key,
                verify=False,
            )
            for service in ("s3", "bedrock")
        )
        s3.create_bucket(Bucket="records")
        lines = "\n".join(json.dumps(record("be brief", f"question {n}", f"SELECT {n}")) for n in range(20))
        s3.put_object(Bucket="records", Key="train.jsonl", Body=lines.encode())
        job = bedrock.create_model_customization_job(
            jobName="job",
            customModelName="model",
            roleArn="arn:aws:iam::123456789012:role/Role",
            baseModelIdentifier="amazon.nova-micro-v1:0:128k",
            trainingDataConfig={"s3Uri": "s3://records/train.jsonl"},
            outputDataConfig={"s3Uri": "s3://records/out/"},
            hyperParameters={"epochCount": "1"},
        )["jobArn"]
        until(lambda: bedrock.get_model_customization_job(jobIdentifier=job)["status"] != "InProgress", 60)
        ended = bedrock.get_model_customization_job(jobIdentifier=job)
        assert (ended["status"], ended.get("failureMessage")) == ("Completed", None)
        assert s3.list_objects_v2(Bucket="records", Prefix="out/")["KeyCount"] > 0
        s3.close()
        bedrock.close()


def test_which_addresses_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org")))
    with pytest.raises(ConfigError, match=r"cannot listen on no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0)


def test_the_environment_leaves_s3_to_aws_unless_it_is_here() -> None:
    assert "AWS_ENDPOINT_URL" not in environment("http://x", aws=False)
    assert environment("http://x", aws=False)["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] == "http://x"
    assert environment("http://x", aws=True) == {"AWS_ENDPOINT_URL": "http://x", "OPENAI_BASE_URL": "http://x/v1"}
