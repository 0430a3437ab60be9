"""What is found wrong with a model before it is loaded."""

import json
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from synth.errors import ModelError
from synth.models.weights import check_folder, check_safetensors, digest, native_size, sort_metadata


@pytest.fixture
def model(tiny_sd, tmp_path):
    return shutil.copytree(tiny_sd, tmp_path / "model")


def test_whole_folders_pass(tiny_sd, tiny_sdxl):
    check_folder(tiny_sd)
    check_folder(tiny_sdxl)
    check_folder(tiny_sd / "text_encoder")
    assert native_size(tiny_sd) == 64


@pytest.mark.parametrize(
    "part",
    [
        "unet",
        "unet/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_missing_part_is_named(model, part):
    path = model / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ModelError) as error:
        check_folder(model)
    assert part.split("/")[0] in str(error.value)
    assert "download" in str(error.value)


def test_pickles_are_refused_with_the_way_to_convert_them(model):
    (model / "unet/diffusion_pytorch_model.safetensors").rename(model / "unet/diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle.*diffusion_pytorch_model.bin.*safe_serialization"):
        check_folder(model)


def test_pickles_beside_safetensors_do_no_harm(model):
    (model / "unet/diffusion_pytorch_model.bin").write_bytes(b"never opened")
    check_folder(model)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_found(model, keep):
    file = model / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelError, match="download or copy it again"):
        check_folder(model)


def test_shards_are_all_checked(model):
    unet = model / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model-00001-of-00002.safetensors")
    index = {"weight_map": {f"layer{i}": f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)}}
    (unet / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="00002-of-00002.safetensors is missing"):
        check_folder(model)


def test_an_index_cannot_point_out_of_its_folder(model):
    unet = model / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    index = {"weight_map": {"layer": "../../secret.safetensors"}}
    (unet / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="do not use this model"):
        check_folder(model)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_broken_index_is_named(model, text):
    (model / "model_index.json").write_text(text)
    with pytest.raises(ModelError, match="model_index.json"):
        check_folder(model)


def test_a_pipeline_that_brings_code_is_refused(model):
    index = json.loads((model / "model_index.json").read_text())
    (model / "model_index.json").write_text(json.dumps(index | {"unet": ["my_unet", "MyUNet"]}))
    with pytest.raises(ModelError, match="needs code from 'my_unet'"):
        check_folder(model)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="neither model_index.json"):
        check_folder(tmp_path)
    with pytest.raises(ModelError, match="no model folder"):
        check_folder(tmp_path / "nothing")


@settings(deadline=None, max_examples=50)
@given(data=st.binary(max_size=200))
def test_no_junk_passes_for_safetensors(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "junk.safetensors"
    file.write_bytes(data)
    with pytest.raises(ModelError):
        check_safetensors(file)


def test_the_digest_is_of_contents_not_of_places(model, tiny_sd):
    assert digest(model) == digest(tiny_sd)
    assert digest(model).startswith("sha256:") and len(digest(model)) == 7 + 64
    (model / "README.md").write_text("not part of the model")
    assert digest(model) == digest(tiny_sd)


def test_the_digest_sees_a_changed_weight(model, tiny_sd):
    before = digest(model)
    file = model / "vae/diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert digest(model) != before


def test_metadata_have_one_order_and_the_tensors_stay(tmp_path):
    tensors, written = {"b": torch.arange(3.0), "a": torch.ones(2, 2)}, set()
    for names in ("format other", "other format"):
        file = tmp_path / "x.safetensors"
        save_file(tensors, file, metadata={name: f"{name} \u00e9" for name in names.split()})
        sort_metadata(file)
        written.add(file.read_bytes())
        check_safetensors(file)
        assert all(torch.equal(found, tensors[name]) for name, found in load_file(file).items())
    assert len(written) == 1
