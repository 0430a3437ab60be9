"""What would be asked of SageMaker, to the last field, and what of it is known to be wrong beforehand."""

import json
import logging
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cloud_account import expected, run
from hypothesis import given
from hypothesis import strategies as st

import synth
from synth.errors import InputError
from synth.train.cloud.costs import estimate
from synth.train.cloud.jobs import CloudJob
from synth.train.cloud.launching import request
from synth.train.cloud.packing import pack_source, requirements
from synth.train.params import Params, SageMaker

pytestmark = pytest.mark.filterwarnings("ignore:sagemaker.train.configs has been moved:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logging.getLogger("sagemaker").setLevel(logging.ERROR)


def test_the_dry_run_prints_every_field_without_account_or_network(prepared, params, tmp_path, no_network, capsys):
    params.write(tmp_path / "params.yaml")
    assert run("unet", "--data", prepared, "--params", tmp_path / "params.yaml", "--dry-run") == 0
    made = json.loads(capsys.readouterr().out)
    job = CloudJob.plan("unet", prepared, params)
    name = made["TrainingJobName"]
    assert name.startswith(f"{job.name}-") and len(name) <= 63
    assert made == expected(job, name)


def test_without_spot_nothing_waits_and_an_own_image_is_taken(prepared, params, no_network):
    made = request(CloudJob.plan("vae", prepared, params.but("sagemaker", spot=False, image="me/torch:1")))
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 10_800}
    assert made["EnableManagedSpotTraining"] is False
    assert made["AlgorithmSpecification"]["TrainingImage"] == "me/torch:1"


def test_texts_and_a_base_in_a_folder_travel_too(tmp_path, tiny_gpt2, params, no_network):
    texts = tmp_path / "prompts.txt"
    texts.write_text("\n".join(f"{number} tulips" for number in range(40)))
    job = CloudJob.plan("gpt2", texts, params.but("train", base=str(tiny_gpt2)))
    assert job.texts == "prompts.txt"
    other = params.but("train", base=str(tiny_gpt2)).but("data", validation=0.5)
    assert CloudJob.plan("gpt2", texts, other).name != job.name
    base = job.channels[1]
    assert "config.json" in base.files
    made = {
        item["ChannelName"]: item["DataSource"]["S3DataSource"]["S3Uri"] for item in request(job)["InputDataConfig"]
    }
    assert list(made) == ["train", "base", "code", "sm_drivers"]
    assert made["base"] == f"s3://synth-test-bucket/synth/data/{base.digest}/"


def test_names_come_from_what_is_trained_and_not_from_where_it_is_paid_for(prepared, params):
    job = CloudJob.plan("unet", prepared, params)
    Path("vignettes").mkdir()  # a folder that is called as the preset is
    assert CloudJob.plan("unet", prepared, params) == job
    elsewhere = params.but("sagemaker", instance_type="ml.p5.48xlarge", spot=False, hours=1.0)
    assert CloudJob.plan("unet", prepared, elsewhere).name == job.name
    assert CloudJob.plan("unet", prepared, params.but("train", seed=1)).name != job.name
    assert CloudJob.plan("vae", prepared, params).name != job.name


def test_the_archive_holds_code_models_params_and_is_the_same_each_time(prepared, params, tmp_path):
    job = CloudJob.plan("unet", prepared, params.but("track", uri="sqlite:///mlflow.db").but("train", steps=7))
    for name in ("a.tar.gz", "b.tar.gz"):
        pack_source(job.packed, tmp_path / name)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        names = set(tar.getnames())
        sent = Params.from_dict(yaml.safe_load(tar.extractfile("params.yaml")))
    assert {"synth/__main__.py", "synth/train/cloud/entry.py", "requirements.txt"} <= names
    assert any(name.startswith("synth/vignettes/models/") for name in names)
    assert not any("__pycache__" in name for name in names)
    assert sent.train.steps == 7 and sent.train.kind == "unet" and sent.data == params.data
    assert sent.track.uri == "off"


def test_the_unpacked_archive_is_synth_with_its_version_where_none_is_installed(params, tmp_path):
    pack_source(params, tmp_path / "source.tar.gz")
    with tarfile.open(tmp_path / "source.tar.gz") as tar:
        tar.extractall(tmp_path / "code", filter="data")
    code = "import sys; from importlib.metadata import version; import synth; print(version('synth'), synth.__file__)"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [sys.executable, "-S", "-c", code]
    done = subprocess.run(words, cwd=tmp_path / "code", env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [synth.__version__, str(tmp_path / "code" / "synth" / "__init__.py")]


def test_what_is_installed_there_is_what_is_installed_here_without_torch_and_notebooks():
    lines = requirements()
    names = {line.split("==")[0] for line in lines}
    assert all(len(line.split("==")) == 2 and "+" not in line for line in lines)
    assert {"accelerate", "diffusers", "peft", "safetensors", "transformers"} <= names
    assert not names & {"torch", "papermill", "jupyter", "hypothesis"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"role": ""}, "sagemaker.role"),
        ({"role": "SageMaker"}, "sagemaker.role"),
        ({"bucket": ""}, "sagemaker.bucket"),
        ({"bucket": "s3://pictures"}, "sagemaker.bucket"),
        ({"instance_type": "g5.xlarge"}, "sagemaker.instance_type"),
    ],
)
def test_what_is_missing_or_misspelt_is_named_before_anything_else(prepared, params, changes, field):
    with pytest.raises(InputError) as error:
        CloudJob.plan("unet", prepared, params.but("sagemaker", **changes))
    assert error.value.field == field


def test_a_region_without_sagemaker_and_a_machine_without_an_image(prepared, params, no_network):
    for changes, field in (
        ({"region": ""}, "sagemaker.region"),
        ({"region": "mars-1"}, "sagemaker.region"),
        ({"instance_type": "ml.trn1.2xlarge"}, "sagemaker.image"),
    ):
        with pytest.raises(InputError) as error:
            request(CloudJob.plan("unet", prepared, params.but("sagemaker", **changes)))
        assert error.value.field == field


def test_bad_data_and_bases_are_named(prepared, params, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="data: "):
        CloudJob.plan("unet", tmp_path, params)
    with pytest.raises(InputError, match="data: "):
        CloudJob.plan("gpt2", tmp_path / "none.txt", params)
    for base in ("./nowhere", "no-such-preset", "~/nowhere"):
        with pytest.raises(InputError, match=r"train\.base: "):
            CloudJob.plan("unet", prepared, params.but("train", base=base))
    monkeypatch.setattr("synth.train.cloud.jobs.GIGABYTE", 1)
    with pytest.raises(InputError, match=r"sagemaker\.volume: 50 cannot be used; use more than"):
        CloudJob.plan("unet", prepared, params)


def test_the_estimate_counts_instances_hours_and_the_spot_share(params):
    settings = params.sagemaker
    assert estimate(settings).dollars == pytest.approx(2 * 3 * 1.5 * 0.4)
    assert "2 x ml.g5.xlarge for at most 3 hours cost at most 3.60 US dollars (0.6 an hour each)" in str(
        estimate(settings)
    )
    assert estimate(replace(settings, spot=False)).dollars == pytest.approx(9)
    unknown = estimate(replace(settings, prices={}))
    assert unknown.dollars is None and "unknown, since sagemaker.prices has no ml.g5.xlarge" in str(unknown)


@given(st.integers(1, 100), st.floats(0.1, 672), st.floats(0, 1e4), st.floats(0, 1), st.booleans())
def test_spot_never_costs_more(instances, hours, price, share, spot):
    settings = SageMaker(instances=instances, hours=hours, prices={"ml.g5.xlarge": price}, spot=spot, spot_share=share)
    assert 0 <= estimate(settings).dollars <= price * hours * instances * (1 + 1e-12)
    assert str(estimate(settings)).startswith(f"{instances} x ml.g5.xlarge")


def test_a_dry_run_needs_not_even_a_role(prepared, tmp_path, no_network, capsys, monkeypatch):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "params.yaml").write_text("sagemaker: {prices: {ml.g5.xlarge: 1.41}}\n")
    assert run("unet", "--data", prepared, "--params", tmp_path / "params.yaml", "--dry-run") == 0
    assert "role/your-role" in capsys.readouterr().out
