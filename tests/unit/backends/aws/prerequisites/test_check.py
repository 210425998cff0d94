from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sqlora.backends.aws.needs import scope_of
from sqlora.backends.aws.policies import caller
from sqlora.backends.aws.prerequisites import Result, check, plan
from sqlora.backends.aws.site import Site
from sqlora.platform import service_quotas
from sqlora.platform.service_quotas import InstanceQuota
from tests.conformance.workplace import add_dataset
from tests.unit.backends.aws.prerequisites.account import all_but, answer, identity, roles, simulation
from tests.unit.backends.aws.prerequisites.conftest import Open

USER = "arn:aws:iam::123456789012:user/ana"


def results(site: Site) -> dict[str, Result]:
    found = list(check(site))
    assert len({result.name for result in found}) == len(found)
    assert all(result.message for result in found)
    assert all(result.fix for result in found if result.status == "fail"), found
    return {result.name: result for result in found}


def fix(site: Site) -> None:
    for step in plan(site):
        step.do()


def test_before_and_after_the_fix(site: Site) -> None:
    before = results(site)
    assert {name for name, result in before.items() if result.status == "fail"} == {"bucket", "customization role"}
    assert before["bucket"].fix == "sqlora doctor --backend bedrock --fix"
    assert site.rows() == []
    fix(site)
    after = results(site)
    assert [result for result in after.values() if result.status == "fail"] == []
    assert "closed, encrypted, TLS only" in after["bucket"].message
    assert after["customization rights"].status == "pass"
    assert "8 train" in after["records"].message


def test_sagemaker_has_two_roles_and_a_quota(open_site: Open) -> None:
    site = open_site("sagemaker")
    fix(site)
    found = results(site)
    assert {"training role", "training rights", "import role", "import rights", "quota"} <= set(found)
    assert found["quota"].message == "1 × ml.g5.48xlarge for training jobs, 1 needed"
    assert {found[name].status for name in found} <= {"pass", "unknown"}


def test_an_open_model_needs_no_import_and_no_access(open_site: Open) -> None:
    found = results(open_site("sagemaker", model="smollm2-135m"))
    assert "import role" not in found
    assert "open model" in found["model access"].message
    assert "tokens" not in found


# ------------------------------------------------------------------------------------------------ who we are


def test_without_credentials_nothing_of_the_account_is_looked_at(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    found = results(open_site(anonymous=True))
    assert (found["credentials"].status, found["account"].status) == ("fail", "unknown")
    assert "no AWS credentials" in found["credentials"].message
    assert "bucket" not in found
    assert found["records"].status == "pass"  # what is here is looked at all the same


def test_an_account_that_cannot_be_reached_is_not_an_account_that_is_wrong(open_site: Open) -> None:
    found = results(open_site(endpoint_url="http://127.0.0.1:9"))
    assert found["credentials"].status == "unknown"


def test_a_profile_that_is_not_there(open_site: Open) -> None:
    found = results(open_site(anonymous=True, profile="nobody"))
    assert found["credentials"].status == "fail"
    assert "profile" in found["credentials"].fix


def test_another_region_is_pointed_out(open_site: Open) -> None:
    found = results(open_site(region="eu-west-1"))
    assert (found["region"].status, found["region"].fix) == (
        "unknown", 'region = "us-east-1" in [aws] of sqlora.toml'
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ the model


def test_a_model_that_bedrock_does_not_have(open_site: Open) -> None:
    found = results(open_site(model="amazon.nova-nano-v1:0:128k"))
    assert found["model access"].status == "fail"
    assert found["model access"].fix == "correct [aws] model or region in sqlora.toml"


def test_a_model_that_is_only_asked(open_site: Open) -> None:
    found = results(open_site(model="amazon.nova-micro-v1:0"))
    assert (found["model access"].status, found["model access"].message) == (
        "fail", "amazon.nova-micro-v1:0 cannot be fine-tuned in us-east-1"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("authorization", "region", "status"),
    [("AUTHORIZED", "AVAILABLE", "pass"), ("NOT_AUTHORIZED", "AVAILABLE", "fail"),
     ("AUTHORIZED", "NOT_AVAILABLE", "fail")],
)  # fmt: skip
def test_access_to_the_model(site: Site, authorization: str, region: str, status: str) -> None:
    said = {
        "modelId": "amazon.nova-micro-v1:0",
        "agreementAvailability": {"status": "AVAILABLE"},
        "authorizationStatus": authorization,
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": region,
    }
    answer(site, "bedrock", "GetFoundationModelAvailability", lambda body: dict(said))
    assert results(site)["model access"].status == status


# ------------------------------------------------------------------------------------------------ permissions


def test_all_that_the_caller_needs_is_simulated(site: Site) -> None:
    fix(site)
    identity(site, USER)
    asked = simulation(site, all_but())
    found = results(site)
    assert (found["permissions"].status, found["pass role"].status) == ("pass", "pass")
    bucket = site.rows("bucket")[0].name
    (arn,) = [row.arn for row in site.rows("role")]
    document = caller("bedrock", scope_of(site, bucket), {"customization": arn or ""})
    wanted = {action for statement in document["Statement"] for action in statement["Action"]}
    of_user = [each for each in asked if each[0] == USER]
    assert {action for _, action, _ in of_user} == wanted
    assert ("iam:PassRole", arn) in [each[1:] for each in of_user]
    assert not any(resource != "*" and "*" in resource for *_, resource in asked)
    assert {action for principal, action, _ in asked if principal == arn} == {
        "s3:ListBucket", "s3:GetObject", "s3:PutObject"
    }  # fmt: skip


def test_what_is_denied_is_named(site: Site) -> None:
    fix(site)
    identity(site, USER)
    simulation(site, all_but("iam:PassRole", "bedrock:CreateModelCustomizationJob"))
    found = results(site)
    assert (found["permissions"].status, found["pass role"].status) == ("fail", "fail")
    assert (
        f"you ({USER}) may not bedrock:CreateModelCustomizationJob on arn:aws:bedrock:" in found["permissions"].message
    )
    assert roles(site)[0] in found["pass role"].message
    assert "sqlora aws template --backend bedrock" in found["permissions"].fix


def test_a_condition_that_was_not_simulated_is_unknown(site: Site) -> None:
    identity(site, USER)
    simulation(site, lambda action, resource: "implicitDeny aws:PrincipalOrgID" if "Tag" in action else "allowed")
    found = results(site)["permissions"]
    assert found.status == "unknown"
    assert "aws:PrincipalOrgID" in found.message


def test_not_being_allowed_to_simulate_is_unknown(site: Site) -> None:
    fix(site)
    identity(site, USER)
    answer(site, "iam", "SimulatePrincipalPolicy", lambda body: "AccessDenied")
    found = results(site)
    assert found["permissions"].status == "unknown"
    assert "iam:SimulatePrincipalPolicy is not allowed" in found["permissions"].message
    assert found["customization rights"].status == "pass"  # the policy itself was read


def test_a_session_is_simulated_as_its_role(site: Site) -> None:
    iam = site.account.client("iam")
    path = "/aws-reserved/sso.amazonaws.com/"
    trusting = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = iam.create_role(RoleName="AWSReservedSSO_Data_1", Path=path, AssumeRolePolicyDocument=trusting)["Role"]["Arn"]
    identity(site, "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Data_1/ana@example.org")
    asked = simulation(site, all_but())
    assert results(site)["permissions"].status == "pass"
    assert {principal for principal, *_ in asked} == {arn}


def test_the_root_user_is_not_simulated(site: Site) -> None:
    identity(site, "arn:aws:iam::123456789012:root")
    assert "root user" in results(site)["permissions"].message


# ------------------------------------------------------------------------------------------------ the bucket


def test_buckets_of_the_settings(open_site: Open) -> None:
    site = open_site(bucket="larkspur-checked")
    assert results(site)["bucket"].message == "there is no bucket larkspur-checked"
    site.account.client("s3").create_bucket(Bucket="larkspur-checked")
    assert results(site)["bucket"].message == "larkspur-checked in us-east-1, yours"
    answer(site, "s3", "HeadBucket", lambda body: {"BucketRegion": "eu-west-1"})
    elsewhere = results(site)["bucket"]
    assert elsewhere.status == "fail"
    assert "is in eu-west-1" in elsewhere.message


def test_a_bucket_of_somebody_else(open_site: Open) -> None:
    site = open_site(bucket="larkspur-theirs")
    answer(site, "s3", "HeadBucket", lambda body: "AccessDenied")
    found = results(site)["bucket"]
    assert (found.status, found.fix) == ("fail", "another [aws] bucket in sqlora.toml, or s3:ListBucket on this one")
    assert "belongs to another account than 123456789012, or you may not see it" in found.message


def test_a_bucket_that_lost_its_protection(site: Site) -> None:
    fix(site)
    name, s3 = site.rows("bucket")[0].name, site.account.client("s3")
    s3.delete_bucket_policy(Bucket=name)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert results(site)["bucket"].message == f"{name} lacks: no public access, TLS only"
    fix(site)
    assert results(site)["bucket"].status == "pass"


# ------------------------------------------------------------------------------------------------ roles


def role(site: Site, name: str, trusting: dict[str, Any]) -> str:
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **trusting}]})
    made = site.account.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    return str(made["Role"]["Arn"])


BEDROCK = {"Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}


def test_a_role_of_the_settings(open_site: Open) -> None:
    arn = "arn:aws:iam::123456789012:role/larkspur-given"
    site = open_site(role_arn=arn)
    missing = results(site)["customization role"]
    assert (missing.message, missing.fix) == (f"there is no role {arn}", "correct [aws] role_arn in sqlora.toml")
    role(site, "larkspur-given", BEDROCK)
    found = results(site)
    assert found["customization role"].status == "pass"
    assert "for the jobs of any account" in found["customization role"].message
    assert found["customization rights"].status == "unknown"
    simulation(site, all_but("s3:PutObject"))
    rights = results(site)["customization rights"]
    assert rights.status == "fail"
    assert rights.message.startswith("larkspur-given may not s3:PutObject on arn:aws:s3:::a-bucket-to-come/sqlora/*")


def test_a_role_that_trusts_somebody_else(open_site: Open) -> None:
    site = open_site(role_arn="arn:aws:iam::123456789012:role/larkspur-wrong")
    role(site, "larkspur-wrong", {**BEDROCK, "Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}})
    found = results(site)["customization role"]
    assert (found.status, found.fix) == ("fail", "its trust policy: `sqlora aws template --backend bedrock`")
    assert "only for other accounts, regions or jobs" in found.message


def test_a_role_named_without_its_path(open_site: Open) -> None:
    site = open_site(role_arn="arn:aws:iam::123456789012:role/larkspur-path")
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **BEDROCK}]})
    site.account.client("iam").create_role(RoleName="larkspur-path", Path="/ml/", AssumeRolePolicyDocument=document)
    found = results(site)["customization role"]
    assert found.status == "fail"
    assert "arn:aws:iam::123456789012:role/ml/larkspur-path" in found.message


def test_our_role_that_was_changed(site: Site) -> None:
    fix(site)
    (name,) = roles(site)
    iam = site.account.client("iam")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::larkspur/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="sqlora", PolicyDocument=policy)
    other = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    trusting = json.dumps({"Version": "2012-10-17", "Statement": [other]})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusting)
    found = results(site)
    assert {found[each].status for each in ("customization role", "customization rights")} == {"fail"}
    assert {found[each].fix for each in ("customization role", "customization rights")} == {
        "sqlora doctor --backend bedrock --fix"
    }
    fix(site)
    assert results(site)["customization role"].status == "pass"


def test_a_role_that_may_not_be_looked_at_is_unknown(open_site: Open) -> None:
    site = open_site(role_arn="arn:aws:iam::123456789012:role/hidden")
    answer(site, "iam", "GetRole", lambda body: "AccessDenied")
    assert results(site)["customization role"].status == "unknown"


# ------------------------------------------------------------------------------------------------ quota


@pytest.fixture
def no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = InstanceQuota("L-6BC98A55", "ml.g5.48xlarge", default=0, initial=0)
    monkeypatch.setitem(service_quotas.QUOTAS, quota.code, quota)


def test_a_quota_that_does_not_do_and_one_that_was_asked_for(open_site: Open, no_quota: None) -> None:
    site = open_site("sagemaker", folder="quota")
    pending: list[dict[str, Any]] = []
    answer(
        site, "service-quotas", "ListRequestedServiceQuotaChangeHistoryByQuota",
        lambda body: {"RequestedQuotas": list(pending)},
    )  # fmt: skip
    answer(site, "service-quotas", "GetServiceQuota", lambda body: "NoSuchResourceException")
    found = results(site)["quota"]
    assert (found.status, found.message) == ("fail", "0 × ml.g5.48xlarge for training jobs, 1 needed")
    assert "L-6BC98A55" in found.fix
    pending.append({"Id": "1", "QuotaCode": "L-6BC98A55", "DesiredValue": 2.0, "Status": "PENDING"})
    asked = results(site)["quota"]
    assert "2 were asked for (PENDING)" in asked.message
    assert not any("quota" in step.what for step in plan(site))


def test_another_instances_quota_is_found_by_its_name(open_site: Open) -> None:
    site = open_site("sagemaker", instance="ml.p5.48xlarge")
    assert results(site)["quota"].status == "unknown"
    quotas = [
        {"QuotaCode": "L-1", "QuotaName": "ml.p5.48xlarge for endpoint usage"},
        {"QuotaCode": "L-2", "QuotaName": "ml.p5.48xlarge for training job usage"},
    ]
    answer(site, "service-quotas", "ListAWSDefaultServiceQuotas", lambda body: {"Quotas": quotas})
    answer(site, "service-quotas", "GetServiceQuota", lambda body: {"Quota": {"QuotaCode": "L-2", "Value": 3.0}})
    answer(
        site, "service-quotas", "ListRequestedServiceQuotaChangeHistoryByQuota", lambda body: {"RequestedQuotas": []}
    )
    assert results(site)["quota"].message == "3 × ml.p5.48xlarge for training jobs, 1 needed"


# ------------------------------------------------------------------------------------------------ data and bill


def test_novas_container_wants_validation_records(open_site: Open) -> None:
    site = open_site("sagemaker", records=0)
    add_dataset(site.project.folder, 9)
    found = results(site)["records"]
    assert (found.status, found.fix) == ("fail", "validation_share in [prepare] of sqlora.toml, then sqlora prepare")


def test_what_sagemaker_cannot_be_told(open_site: Open) -> None:
    site = open_site("sagemaker", instance="ml.g4dn.xlarge")
    assert "trains on ml.g5.12xlarge" in results(site)["hyperparameters"].message


def test_too_few_records(open_site: Open) -> None:
    site = open_site(records=7)
    found = results(site)["records"]
    assert found.status == "fail"
    assert "7 training records; it takes at least 8" in found.message
    assert results(site)["hyperparameters"].status == "fail"


def test_no_dataset(open_site: Open) -> None:
    found = results(open_site(records=0))
    assert {found[name].fix for name in ("records", "tokens", "hyperparameters", "bill")} == {"sqlora prepare"}


def test_forbidden_words_and_long_records_are_named_with_their_line(site: Site) -> None:
    dataset = add_dataset(site.project.folder, 9, held_out=2)
    lines = dataset.path("train").read_text().splitlines()
    record = json.loads(lines[4])
    record["messages"][0]["content"][0]["text"] = "User: " + "a" * 120_000
    _replace(dataset.path("train"), lines, 4, record)
    found = results(site)
    assert "train.jsonl line 5" in found["records"].message
    assert "'User:'" in found["records"].message
    assert found["tokens"].status == "fail"
    assert "(train.jsonl line 5); 32,000 are read" in found["tokens"].message


def _replace(file: Path, lines: list[str], place: int, record: dict[str, Any]) -> None:
    lines[place] = json.dumps(record)
    file.write_text("\n".join(lines) + "\n")


def test_hyperparameters_outside_the_ranges(site: Site) -> None:
    file = site.project.file
    file.write_text(file.read_text().replace("[train]\n", "[train]\nlearning_rate = 0.01\nepochs = 9\n"))
    from sqlora.project import load_project

    changed = Site(load_project(site.project.folder, environ={}), site.state, site.account, "bedrock")
    found = results(changed)["hyperparameters"]
    assert found.status == "fail"
    assert "learning_rate" in found.message
    assert "epochs" in found.message


def test_the_bill(site: Site) -> None:
    found = results(site)["bill"]
    assert found.status == "pass"
    assert found.message.startswith("about $1.95: Bedrock customization $0.0")
    assert "storage" in found.message
