from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sqlora.backends.aws.buckets import remove_bucket
from sqlora.backends.aws.prerequisites import alone, plan
from sqlora.backends.aws.roles import remove_policy, remove_role, role_arn
from sqlora.backends.aws.site import Site
from sqlora.errors import BusyError, ConfigError, ConflictError
from sqlora.platform import service_quotas
from sqlora.platform.service_quotas import InstanceQuota
from tests.unit.backends.aws.prerequisites.account import Died, buckets, dying, roles
from tests.unit.backends.aws.prerequisites.conftest import Open


def fix(site: Site) -> list[str]:
    """Do all of it; what was done."""
    steps = plan(site)
    for step in steps:
        step.do()
    return [step.what for step in steps]


def destroy(site: Site) -> None:
    """In the order of the backends."""
    for row in site.rows("policy"):
        remove_policy(site, row)
    for row in site.rows("role"):
        remove_role(site, row)
    for row in site.rows("bucket"):
        remove_bucket(site, row)


@pytest.mark.parametrize(("backend", "purposes"), [("bedrock", 1), ("sagemaker", 2)])
def test_it_makes_what_is_missing_once_and_all_of_it_goes(open_site: Open, backend: str, purposes: int) -> None:
    site = open_site(backend)
    steps = plan(site)
    assert [step.what.split()[0] for step in steps] == ["create"] * (1 + purposes)
    assert all(step.documents for step in steps)
    assert not site.rows()  # a plan writes nothing
    fix(site)
    assert plan(open_site(backend)) == []
    assert len(buckets(site)) == 1
    assert len(roles(site)) == purposes
    assert {row.status for row in site.rows()} == {"created"}
    destroy(site)
    assert (buckets(site), roles(site), site.rows()) == ([], [], [])


def test_roles_are_found_by_their_purpose(open_site: Open) -> None:
    site = open_site("sagemaker")
    with pytest.raises(ConfigError, match="no role for SageMaker") as caught:
        role_arn(site.account, site.state, "training")
    assert "sqlora doctor --backend sagemaker --fix" in (caught.value.next_step or "")
    fix(site)
    found = {purpose: role_arn(site.account, site.state, purpose) for purpose in ("training", "import")}
    assert sorted(arn.rpartition("/")[2] for arn in found.values()) == sorted(roles(site))
    assert all(f"-{purpose}-" in arn for purpose, arn in found.items())
    with pytest.raises(ConfigError, match="no role for Bedrock's customization jobs"):
        role_arn(site.account, site.state, "customization")


def test_a_role_of_the_settings_goes_before(open_site: Open) -> None:
    arn = "arn:aws:iam::123456789012:role/theirs"
    site = open_site("bedrock", role_arn=arn)
    assert role_arn(site.account, site.state, "customization") == arn
    assert not any("role" in step.what for step in plan(site))


def test_the_bucket_is_closed_encrypted_and_takes_no_plain_http(site: Site) -> None:
    fix(site)
    (name,) = buckets(site)
    s3 = site.account.client("s3")
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert '"aws:SecureTransport": "false"' in s3.get_bucket_policy(Bucket=name)["Policy"]
    assert {"Key": "sqlora:id", "Value": site.rows("bucket")[0].id} in s3.get_bucket_tagging(Bucket=name)["TagSet"]


def test_whenever_the_process_dies_the_next_one_goes_on(open_site: Open) -> None:
    """Before each call that changes something and after it: finished by the next run, or taken away unfinished."""
    account = open_site().account
    for moment in range(1000):
        for goes_on in (True, False):
            folder = f"{moment}-{goes_on}"
            died = _dies(fix, open_site("bedrock", folder, 0, account), moment)
            again = open_site("bedrock", folder, 0, account)
            if goes_on:
                fix(again)
                assert plan(again) == []
                assert len(buckets(again)) == 1
                assert len(roles(again)) == 1
                assert {row.status for row in again.rows()} == {"created"}
            destroy(again)
            assert (buckets(again), roles(again), again.rows()) == ([], [], [])
        if not died:
            assert moment > 12
            return


def test_a_destroy_that_dies_is_gone_on_with(open_site: Open) -> None:
    account = open_site("sagemaker").account
    for moment in range(1000):
        site = open_site("sagemaker", str(moment), 0, account)
        fix(site)
        died = _dies(destroy, site, moment)
        again = open_site("sagemaker", str(moment), 0, account)
        destroy(again)
        assert (buckets(again), roles(again), again.rows()) == ([], [], [])
        if not died:
            assert moment > 8
            return


def _dies(act: Callable[[Site], object], site: Site, moment: int) -> bool:
    try:
        with dying(moment):
            act(site)
    except Died:
        return True
    return False


def test_a_role_that_is_half_made_is_not_given_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(**params: Any) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(site.account.client("iam"), "put_role_policy", die)
        with pytest.raises(Died):
            fix(site)
    assert len(roles(site)) == 1
    with pytest.raises(ConfigError, match="only half made"):
        role_arn(site.account, site.state, "customization")
    fix(site)
    assert role_arn(site.account, site.state, "customization").endswith(roles(site)[0])


def test_two_processes_do_not_make_two_of_everything(open_site: Open) -> None:
    site, other = open_site(), open_site()
    with alone(site), pytest.raises(BusyError), alone(other):
        raise AssertionError
    with alone(other):
        pass


def test_a_bucket_of_the_settings_is_made_if_it_is_not_there(open_site: Open) -> None:
    site = open_site(bucket="larkspur-of-the-settings")
    assert "larkspur-of-the-settings" in fix(site)[0]
    assert [row.name for row in site.rows("bucket")] == ["larkspur-of-the-settings"]
    destroy(site)
    assert "larkspur-of-the-settings" not in [
        each["Name"] for each in site.account.client("s3").list_buckets()["Buckets"]
    ]


def test_a_bucket_of_the_settings_that_is_there_is_left_as_it_is(open_site: Open) -> None:
    site = open_site(bucket="larkspur-was-there")
    s3 = site.account.client("s3")
    s3.create_bucket(Bucket="larkspur-was-there")
    assert not any("bucket" in what for what in fix(site))
    assert site.rows("bucket") == []
    destroy(site)
    assert "larkspur-was-there" in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def test_a_bucket_that_others_made_meanwhile_is_theirs(open_site: Open) -> None:
    site = open_site(bucket="larkspur-meanwhile")
    steps = plan(site)
    site.account.client("s3").create_bucket(Bucket="larkspur-meanwhile")
    steps[0].do()
    assert site.rows("bucket") == []


def test_a_bucket_with_something_in_it_stays_and_can_be_removed_later(site: Site) -> None:
    fix(site)
    (name,) = buckets(site)
    s3 = site.account.client("s3")
    s3.put_object(Bucket=name, Key="theirs", Body=b"1")
    with pytest.raises(ConflictError, match="holds objects that this project did not write"):
        destroy(site)
    assert buckets(site) == [name]
    s3.delete_object(Bucket=name, Key="theirs")
    destroy(site)
    assert buckets(site) == []


def test_a_role_of_the_same_name_that_is_not_ours_is_left_alone(site: Site) -> None:
    fix(site)
    (name,) = roles(site)
    site.account.client("iam").untag_role(RoleName=name, TagKeys=["sqlora:id"])
    with pytest.raises(ConflictError, match="left alone"):
        destroy(site)
    assert site.account.client("iam").get_role_policy(RoleName=name, PolicyName="sqlora")
    with pytest.raises(ConflictError, match="left alone"):
        remove_role(site, site.rows("role")[0])
    assert site.account.client("iam").get_role(RoleName=name)


def test_what_has_been_taken_away_by_hand_is_made_again_and_can_be_forgotten(site: Site) -> None:
    fix(site)
    (name,), (role,) = buckets(site), roles(site)
    iam, s3 = site.account.client("iam"), site.account.client("s3")

    def take_away() -> None:
        s3.delete_bucket(Bucket=name)
        iam.delete_role_policy(RoleName=role, PolicyName="sqlora")
        iam.delete_role(RoleName=role)

    take_away()
    assert len(fix(site)) == 2
    assert (buckets(site), roles(site), plan(site)) == ([name], [role], [])
    take_away()
    destroy(site)
    assert site.rows() == []


def test_policies_are_brought_up_to_date(open_site: Open) -> None:
    site = open_site()
    fix(site)
    (role,), (name,) = roles(site), buckets(site)
    file = site.project.file
    file.write_text(file.read_text() + 'kms_key = "arn:aws:kms:us-east-1:123456789012:key/abc"\n')
    changed = open_site()
    done = fix(changed)
    assert done == [
        f"give the bucket {name} what it lacks: encryption by the key of [aws] kms_key",
        f"bring the policies of the role {role} up to date",
    ]
    assert plan(changed) == []
    assert (buckets(changed), roles(changed)) == ([name], [role])


def test_nothing_of_another_account_or_region_is_taken_for_ours(open_site: Open) -> None:
    site = open_site()
    fix(site)
    file = site.project.file
    file.write_text(file.read_text().replace("[aws]\n", '[aws]\nregion = "us-west-2"\n'))
    elsewhere = open_site()
    assert [step.what.split()[0] for step in plan(elsewhere)] == ["create", "create"]
    with pytest.raises(ConfigError, match="no role"):
        role_arn(elsewhere.account, elsewhere.state, "customization")
    with pytest.raises(Exception, match="was made in account 123456789012, us-east-1"):
        destroy(elsewhere)
    assert len(roles(site)) == 1


@pytest.fixture
def no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new account's."""
    quota: Any = InstanceQuota("L-6BC98A55", "ml.g5.48xlarge", default=0, initial=0)
    monkeypatch.setitem(service_quotas.QUOTAS, quota.code, quota)


@pytest.mark.usefixtures("no_quota")
def test_the_quota_is_asked_for_once(open_site: Open) -> None:
    site = open_site("sagemaker")
    before = len(_requests(site))
    assert fix(site)[-1] == "ask AWS for a quota of 1 × ml.g5.48xlarge for training jobs (L-6BC98A55)"
    (made, *_) = _requests(site)
    assert (made["DesiredValue"], len(_requests(site))) == (1.0, before + 1)
    assert fix(site) == []


def _requests(site: Site) -> list[dict[str, Any]]:
    client = site.account.client("service-quotas")
    found: list[dict[str, Any]] = client.list_requested_service_quota_change_history_by_quota(
        ServiceCode="sagemaker", QuotaCode="L-6BC98A55"
    )["RequestedQuotas"]
    return found
