"""Studies in a store: whole or not at all, by name, gathered into a log, and resumed by what is there."""

import io
import os

import fsspec
import pandas
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from synth.errors import InputError
from synth.jobs import Settings
from synth.records.pictures import read_picture
from synth.records.rows import COLUMNS
from synth.scale import storing
from synth.scale.store import Store
from synth.scale.storing import gather, store_study


class Bucket(MemoryFileSystem):
    """Object storage in memory, which has no folders."""

    protocol, store, pseudo_dirs = "gs", {}, [""]

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("gs://").strip("/")


class Here:
    """A crew of this very process, that notes what it was given."""

    workers = 1

    def __init__(self):
        self.items = []

    def scatter(self, task, items):
        self.items += items
        yield from ((place, task(item)) for place, item in enumerate(items))


@pytest.fixture
def stored(tiny_sd, tmp_path):
    """Renders 40 pictures into a store with a crew of its own; returns what became of them, and the crew."""

    def run(url=f"file://{tmp_path}/store"):
        crew = Here()
        found = store_study(
            url, crew, prompts=["a red house", "a blue boat"], seeds=20, model=str(tiny_sd),
            settings=Settings(steps=1, width=64, height=64), out=tmp_path / "studies", device="cpu", progress=False,
        )  # fmt: skip
        return found, crew

    return run


def test_a_study_is_stored_gathered_and_resumed(stored, tmp_path, monkeypatch):
    found, crew = stored()
    assert (found.done, found.failed, found.left) == (40, 0, 0)
    assert [len(item) for item in crew.items] == [32, 8]
    frame = gather(found.study, found.url)
    assert list(frame.columns) == list(COLUMNS) and len(frame) == frame["key"].nunique() == 40
    assert list(frame["seed"]) == [*range(20), *range(20)] and list(frame["prompt_index"]) == [0] * 20 + [1] * 20
    pictures = [read_picture(tmp_path / "store" / path) for path in frame["path"]]
    assert [picture.digest for picture in pictures] == list(frame["pixels_sha256"])
    assert stored()[1].items == []

    [shard] = [path for path in (tmp_path / "store/rows").iterdir() if len(pandas.read_parquet(path)) == 32]
    lost = tmp_path / "store" / pandas.read_parquet(shard)["path"][0]
    shard.unlink(), lost.unlink()  # as after the death of a worker before it wrote its rows
    rendered = []
    real = storing._Storing._keep
    monkeypatch.setattr(storing._Storing, "_keep", lambda *a: rendered.append(a[1].job.key) or real(*a))
    found, crew = stored()
    assert found.done == 40 and [len(item) for item in crew.items] == [32] and len(rendered) == 1
    again = gather(found.study, found.url)
    assert list(again["pixels_sha256"]) == list(frame["pixels_sha256"])
    assert (again["created"] == frame["created"]).sum() == 39


def test_a_bucket_keeps_what_a_folder_would(stored):
    fsspec.register_implementation("gs", Bucket, clobber=True)
    found, crew = stored("gs://bucket/store")
    assert (found.done, found.failed, found.left) == (40, 0, 0)
    frame = gather(found.study, found.url)
    assert len(frame) == frame["key"].nunique() == 40
    names = {path.removeprefix("/bucket/store/") for path in Bucket.store}
    assert set(frame["path"]) < names
    with Image.open(io.BytesIO(Store(found.url).get(frame["path"][0]))) as picture:
        assert picture.size == (64, 64)
    assert stored("gs://bucket/store")[1].items == []
    Store(found.url).remove(frame["path"][0])
    assert Store(found.url).get(frame["path"][0]) is None
    assert found.study.folder.is_dir() and not list(found.study.folder.rglob("*.png"))


def test_failed_pictures_are_rows_and_are_tried_again(stored, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("synth.rendering._finish", lambda *_: 1 / 0)
        found, _ = stored()
    assert (found.done, found.failed, found.left) == (0, 40, 0)
    assert gather(found.study, found.url)["error"].str.contains("ZeroDivisionError").all()
    found, _ = stored()
    assert (found.done, found.failed) == (40, 0)
    assert set(gather(found.study, found.url)["status"]) == {"done"}


def test_the_study_knows_nothing_of_what_is_stored_and_can_be_gathered_halfway(stored, tmp_path):
    found, _ = stored()
    assert found.study.counts == {"done": 0, "failed": 0, "left": 40}
    for path in (tmp_path / "store/rows").iterdir():
        path.unlink()
    assert list(gather(found.study, found.url).columns) == list(COLUMNS)


def test_what_is_put_is_whole_or_absent(tmp_path, monkeypatch):
    store = Store(f"file://{tmp_path}/there")
    assert store.get("rows/a") is None and store.names("rows") == set()
    store.put("rows/a", b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(Exception, match="cannot be put .*No space left"):
        patch.setattr(os, "fsync", full)
        store.put("rows/a", b"new")
    assert store.get("rows/a") == b"old" and store.names("rows") == {"a"}
    store.remove("rows/a"), store.remove("rows/a")
    assert store.names("rows") == set()


@pytest.mark.parametrize(("url", "message"), [
    ("ftp://host/x", "did you mean"), ("/plain/path", "did you mean"), ("file://", "say where"),
    ("s3://", "say where"), ("s3://AKIA:secret@bucket/x", "without credentials"),
    ("s3://bucket/x?secret=1", "without credentials"),
])  # fmt: skip
def test_a_url_that_cannot_be_used_is_told_and_its_secrets_are_not(url, message):
    with pytest.raises(InputError, match=message) as error:
        Store(url)
    assert "secret" not in str(error.value)


def test_a_picture_that_was_damaged_in_the_store_is_rendered_again(stored, tmp_path):
    found, _ = stored()
    frame = gather(found.study, found.url)
    damaged = tmp_path / "store" / frame["path"][0]
    damaged.write_bytes(damaged.read_bytes()[:200])
    for path in (tmp_path / "store/rows").iterdir():
        path.unlink()
    assert stored()[0].done == 40
    assert Image.open(io.BytesIO(damaged.read_bytes())).size == (64, 64)
