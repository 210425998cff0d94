"""The manifests of the page on fleets: valid by Kubernetes' own schemas, and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from sqlora.project import load_project
from sqlora.settings import VllmSection
from sqlora.train.recipe import BUILT_IN

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
PAGE = (HOW_TO / "fleet.md").read_text()
MANIFESTS = list(yaml.safe_load_all((HOW_TO / "fleet.yaml").read_text()))
VERSIONS = ("1.29", "1.33")  # no kind or key in them is newer than the first


def of(kind: str) -> dict[str, Any]:
    [found] = [manifest for manifest in MANIFESTS if manifest["kind"] == kind]
    return found  # type: ignore[no-any-return]


def container() -> dict[str, Any]:
    [only] = of("Deployment")["spec"]["template"]["spec"]["containers"]
    return only  # type: ignore[no-any-return]


def environment() -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container()["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_valid_by_the_schemas_of_kubernetes(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_mistake_would_be_seen() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**of("Service"), "spec": {"ports": [{"prot": 8000}]}}, VERSIONS[0], strict=True)


def test_all_lie_in_the_namespace() -> None:
    name = of("Namespace")["metadata"]["name"]
    assert {manifest["metadata"].get("namespace", name) for manifest in MANIFESTS} == {name}
    assert f"create namespace {name}" in PAGE


def test_selectors_find_the_pods() -> None:
    labels = of("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert of("Service")["spec"]["selector"].items() <= labels.items()
    assert of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert of("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_autoscaler_scales_the_deployment_by_the_metric_that_the_page_gives_it() -> None:
    target, deployment = of("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"], of("Deployment")
    assert (target["kind"], target["apiVersion"], target["name"]) == (
        deployment["kind"], deployment["apiVersion"], deployment["metadata"]["name"]
    )  # fmt: skip
    assert "replicas" not in deployment["spec"]  # each apply would undo what the autoscaler did
    [metric] = of("HorizontalPodAutoscaler")["spec"]["metrics"]
    [rules] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert rules["rules"]["custom"][0]["name"]["as"] == metric["pods"]["metric"]["name"]


def test_ports_volumes_and_claims_are_those_that_there_are() -> None:
    [port] = container()["ports"]
    probes = [container()[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness", "liveness")]
    [service] = of("Service")["spec"]["ports"]
    [policy] = of("NetworkPolicy")["spec"]["ingress"][0]["ports"]
    assert {*probes, service["targetPort"], policy["port"]} == {port["name"]}
    annotations = of("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    volumes = {volume["name"]: volume for volume in of("Deployment")["spec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container()["volumeMounts"]} == set(volumes)
    claim = of("PersistentVolumeClaim")
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]  # the replicas and whoever deploys


def test_replicas_find_adapters_by_themselves_where_sqlora_puts_them(tmp_path: Path) -> None:
    settings = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[:1])
    (tmp_path / "sqlora.toml").write_text(settings)
    project = load_project(tmp_path, environ={})
    assert project.vllm.resolver
    assert environment()["VLLM_LORA_RESOLVER_CACHE_DIR"] == project.vllm.server_folder
    assert environment()["VLLM_PLUGINS"] == "lora_filesystem_resolver"
    assert environment()["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    mounts = {mount["mountPath"]: mount for mount in container()["volumeMounts"]}
    assert mounts[project.vllm.server_folder or ""]["readOnly"]
    assert str(project.vllm.folder).endswith(mounts[project.vllm.server_folder or ""]["subPath"])
    arguments = dict(argument.partition("=")[::2] for argument in container()["args"])
    assert arguments["--model"] == project.train.base_model
    assert int(arguments["--max-lora-rank"]) >= max(recipe.rank for recipe in BUILT_IN.values())


def test_the_key_comes_from_the_secret_that_the_page_makes() -> None:
    [key] = [item["valueFrom"]["secretKeyRef"] for item in container()["env"] if "valueFrom" in item]
    assert f"create secret generic {key['name']} --from-literal={key['key']}=" in PAGE
    assert of("Deployment")["metadata"]["namespace"] == "sqlora"
    assert not [manifest for manifest in MANIFESTS if manifest["kind"] == "Secret"]


def test_every_setting_is_in_the_table() -> None:
    table = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert table == list(VllmSection.model_fields)


def test_the_settings_for_several_gpus_are_settings(tmp_path: Path) -> None:
    (tmp_path / "sqlora.toml").write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])
    assert load_project(tmp_path, environ={}).train.processes == 4
