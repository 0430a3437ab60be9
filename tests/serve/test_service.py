"""What people do with the service, over HTTP with the bundled models, through the client that ships with it."""

import io
import itertools
import json
import zipfile
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from PIL import Image

from synth.presets import advised
from synth.records.pictures import read_picture
from synth.records.rows import read_log
from synth.records.verification import verify
from synth.serve.client import ServiceError
from synth.studies import Study, list_studies, study

PNG = b"\x89PNG\r\n\x1a\n"


def folder_of(server, drawn) -> object:
    found = list(server.out.glob(f"*/{drawn.state.id}"))
    assert len(found) == 1
    return found[0]


def test_a_phrase_becomes_pictures_as_on_the_command_line(client, server, tmp_path, small):
    state = client.study("a red lighthouse", n=2, seeds=2, settings=small, strict=True)
    drawn = client.wait(state.id)
    assert (drawn.state.state, drawn.state.left, drawn.state.pictures) == ("done", 0, 4)
    made = study(
        "a red lighthouse",
        n=2,
        seeds=2,
        settings=advised("vignettes").but(**small),
        strict=True,
        out=tmp_path,
        progress=False,
    )
    assert [picture.job for picture in drawn.pictures] == made.jobs
    assert drawn.prompts == list(made.expansion)
    for picture, path in zip(drawn.pictures, made.frame()["path"], strict=True):
        (tmp_path / "fetched.png").write_bytes(client.picture(state.id, picture.key))
        assert read_picture(tmp_path / "fetched.png").digest == read_picture(made.folder / path).digest
    theirs = Study.open(folder_of(server, drawn))
    assert theirs.plan == made.plan and theirs.counts == made.counts
    assert [item.phrase for item in list_studies(theirs.folder.parent)] == ["a red lighthouse"]
    assert verify(theirs.folder / theirs.frame()["path"][0], device="cpu").equal


def test_progress_is_told_with_previews_as_pictures_form(client):
    state = client.render(["a blue boat by the sea"], phrase="a blue boat", seeds=2, settings={"steps": 12})
    events = list(client.events(state.id))
    kinds = [event.kind for event in events]
    assert kinds.index("prompts") < kinds.index("preview") < kinds.index("picture") and kinds[-1] == "state"
    keys = {picture.key for picture in client.drawn(state.id).pictures}
    assert {event.data["key"] for event in events if event.kind == "picture"} == keys
    for event in (event for event in events if event.kind == "preview"):
        assert event.data["key"] in keys and 1 < event.data["step"] < event.data["steps"] == 12
        assert event.data["image"].startswith("data:image/jpeg;base64,")
    assert events[-1].data["state"] == "done"
    late = [event.kind for event in client.events(state.id)]
    assert late == ["prompts", "picture", "picture", "state"]


def test_an_expansion_is_told_as_it_is_drawn(client):
    events = list(client.expanding("a red house", n=3, seed=1))
    *drawn, last = events
    assert {event.kind for event in drawn} == {"drawn"} and last.kind == "expansion"
    found = client.expand("a red house", n=3, seed=1)
    assert [prompt["text"] for prompt in events[-1].data["prompts"]] == [prompt.text for prompt in found.prompts]
    assert len(found.prompts) == 3 and len(found.candidates) >= 32
    texts = [event.data["texts"] for event in drawn]
    assert len(texts) > 1 and all(text.startswith("a red house") for text in itertools.chain(*texts))
    sizes = [sum(map(len, block)) for block in texts]
    assert {len(block) for block in texts} == {8} and sizes[0] < max(sizes)
    candidates = [prompt.text for prompt in found.candidates]
    assert texts[-1] == candidates[-32:][:8] and drawn[-1].data["candidates"] == len(candidates)
    with pytest.raises(ServiceError, match="phrase: .*at least one word"):
        list(client.expanding(" "))


def test_what_is_known_of_pictures_can_be_fetched(client, server, tmp_path, small):
    prompts = ["a red house in the snow", "a green car at night"]
    state = client.render(prompts, phrase="a red house", seeds=1, settings=small)
    drawn = client.wait(state.id)
    key = drawn.pictures[0].key
    heat = client.words(state.id, key)
    assert [word.text for word in heat.words] == prompts[0].split()
    assert [word.added for word in heat.words] == [False] * 3 + [True] * 3
    assert sum(word.share for word in heat.words) == pytest.approx(1, abs=0.01)
    assert heat.words[1].map.startswith("data:image/png;base64,")
    assert client.words(state.id, key) == heat
    found = client.measure(state.id, ["sharpness", "vendi_pictures"])
    assert [item.measure for item in found] == ["sharpness", "vendi_pictures"] and found[1].low is None
    rows = client.log(state.id)
    assert [row["prompt"] for row in rows] == prompts and all(row["sharpness"] > 0 for row in rows)
    assert list(read_log(io.BytesIO(client.log_csv(state.id)))["key"]) == [picture.key for picture in drawn.pictures]
    with zipfile.ZipFile(io.BytesIO(client.zip(state.id))) as folder:
        names = {name.partition("/")[2] for name in folder.namelist()}
    assert {"plan.json", "log.csv", f"images/{key[:16]}.png"} <= names
    assert not [name for name in names if "sqlite" in name or "lock" in name]
    assert [item.id for item in client.studies()] == [state.id]


def test_the_report_of_a_study(client, server, small):
    hostile = "<script>alert(1)</script> a red house"
    state = client.render([hostile, "a blue boat"], phrase="a house", seeds=[5, 3], settings=small)
    with pytest.raises(ServiceError) as told:
        client.report(state.id)
        pytest.fail("the report of a study that is not finished")
    assert told.value.status == 409
    client.wait(state.id)
    page = client.report(state.id)
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page and "a blue boat" in page
    assert str(server.out) not in page and "a red lighthouse" not in page
    assert client.report(state.id) == page


def test_pictures_are_drawn_over_an_upload(client, small):
    grey = Image.fromarray(np.full((100, 120, 3), 90, np.uint8))
    mask = Image.new("L", grey.size, 0)
    mask.paste(255, (0, 0, 60, 100))
    digests = []
    for picture in (grey, mask):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        digests.append(client.upload(buffer.getvalue()))
    asked = {"settings": small | {"strength": 0.6}, "seeds": 1, "source": digests[0], "mask": digests[1]}
    state = client.render(["a red house"], **asked)
    drawn = client.wait(state.id)
    assert drawn.state.state == "done" and drawn.pictures[0].job.source
    pixels = np.asarray(Image.open(io.BytesIO(client.picture(state.id, drawn.pictures[0].key))))
    assert (pixels[:, 40:] == 90).all() and (pixels[:, :20] != 90).any()


def test_a_hundred_megapixels_and_other_bodies_are_refused(client, server):
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    with pytest.raises(ServiceError, match="picture: '10,000 x 10,000 pixels' cannot be used; make it smaller") as told:
        client.upload(buffer.getvalue())
    assert told.value.status == 422
    with pytest.raises(ServiceError, match="larger than 16,777,216 bytes") as told:
        client.upload(PNG + bytes(17 * 2**20))
    assert told.value.status == 413
    with pytest.raises(ServiceError, match="larger than 262,144 bytes") as told:
        client.render(["x" * 300_000])
    assert told.value.status == 413
    with pytest.raises(ServiceError, match="picture: .*can be read"):
        client.upload(b"no picture")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b'{"phrase": 1e999}', b"\xff", b"[" * 9_000, b"9" * 9_000]
)
def test_a_body_that_is_no_request_is_told(server, body):
    for path in ("expand", "studies", "render"):
        answer = httpx.post(f"{server.url}/v1/{path}", content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.json()["detail"]) < 300


def test_a_mistake_is_told_in_the_sentence_of_the_command_line(client, small):
    for changes, sentence in (
        ({"settings": {"steps": 0}}, "steps: 0 cannot be used; use a whole number from 1 to 1,000"),
        ({"seeds": 0}, "seeds: 0 cannot be used; use a whole number from 1 to 100,000"),
        ({"settings": small | {"scheduler": "lms", "sigmas": "3,x"}}, None), ({"model": "sd2"}, None),
    ):  # fmt: skip
        with pytest.raises(ServiceError) as told:
            client.render(["a"], **changes)
        assert told.value.status == 422 and sentence in (str(told.value), None)
    with pytest.raises(ServiceError, match="settings.step: there is no such field") as told:
        client.render(["a"], settings={"step": 1})


HOSTILE = (
    "/etc/passwd-hostile", "../../hostile", "hostile/model", "vignettes/../hostile", "file:///hostile",
    "hostile.safetensors", "C:\\hostile", "~/hostile", "vignettes=hostile", "hostile\n",
    "\N{FULLWIDTH SOLIDUS}hostile", "sd2.1",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_model_or_path_of_a_request_reaches_a_loader(client, server, name):
    for field in ("model", "expander"):
        with pytest.raises(ServiceError, match=f"^{field}: ") as told:
            client.study("a house", **{field: name})
        assert told.value.status == 422
    for asked in ({"source": name}, {"axes": [f"model=vignettes,{name}"]}, {"out": name}, {"loras": [[name, 1]]}):
        with pytest.raises(ServiceError) as told:
            client.render(["a house"], **asked)
        assert told.value.status == 422
    for place in ("", f"{'0' * 16}/pictures/"):
        path = f"/v1/studies/{place}{quote(name, safe='')}"
        assert httpx.get(f"{server.url}{path}", trust_env=False).status_code in (404, 405, 422)
    assert server.noted() == []  # neither a connection nor a file of that name


@profile(max_examples=40, deadline=None)
@given(phrase=st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(lambda text: f"{text}../hostile<b>"))
def test_hostile_phrases_leave_nothing_outside_their_studies(server, phrase):
    with server.client("hostile phrases") as client:
        before = {path for path in server.out.parent.rglob("*") if "hostile" in path.name}
        try:
            state = client.render([phrase], seeds=1, settings={"steps": 1, "width": 64, "height": 64}, detached=True)
        except ServiceError as error:
            assert error.status == 422
            return
        assert client.drawn(state.id).state.phrase == phrase.strip()
        client.cancel(state.id)
        assert {path for path in server.out.parent.rglob("*") if "hostile" in path.name} == before
        names = {path.name for path in server.out.glob("*/*")}
        assert all(len(name) == 16 or name == "uploads" for name in names), names


def test_what_is_anothers_is_not_there(client, server, small):
    state = client.render(["a house"], seeds=1, settings=small)
    key = client.wait(state.id).pictures[0].key
    with server.client("somebody else") as other:
        for ask in (
            lambda: other.drawn(state.id), lambda: other.picture(state.id, key), lambda: other.cancel(state.id),
            lambda: other.log(state.id), lambda: other.words(state.id, key), lambda: other.zip(state.id),
            lambda: list(other.events(state.id)), lambda: other.measure(state.id), lambda: other.report(state.id),
        ):  # fmt: skip
            with pytest.raises(ServiceError, match="there is no such study of yours") as told:
                ask()
            assert told.value.status == 404
        assert other.studies() == []


def test_a_study_can_be_cancelled_and_asked_for_again(client, small):
    asked = {"prompts": ["a house", "a boat"], "seeds": 40, "settings": small | {"steps": 60}}
    state = client.render(**asked)
    told = []
    for event in client.events(state.id):
        told.append(event)
        if event.kind == "preview":
            assert client.cancel(state.id).state == "cancelled"
    assert told[-1].data["state"] == "cancelled" and told[-1].data["reason"] == "its client cancelled it"
    assert client.drawn(state.id).state.left > 0
    assert client.cancel(state.id).state == "cancelled"
    again = client.render(**asked)
    assert again.id == state.id and again.state == "opening"
    assert next(event for event in client.events(state.id) if event.kind == "preview")
    client.cancel(state.id)


def test_health_and_metrics(server, client, small):
    assert httpx.get(f"{server.url}/healthz", trust_env=False).json() == {"status": "ok"}
    client.wait(client.render(["a house"], seeds=1, settings=small).id)
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    assert 'synth_pictures_total{status="done"}' in text and "synth_queue_pictures 0.0" in text
    assert 'route="/v1/studies/{study}"' in text
    assert (
        "access-control-allow-origin" not in httpx.get(f"{server.url}/healthz", headers={"Origin": "http://x"}).headers
    )


def test_a_page_elsewhere_cannot_use_a_server_without_keys(server):
    answer = httpx.get(f"{server.url}/v1/models", headers={"Host": "evil.example"}, trust_env=False)
    assert answer.status_code == 421 and "localhost" in answer.json()["detail"]
    plain = httpx.post(
        f"{server.url}/v1/render", content=json.dumps({"prompts": ["a"]}), headers={"Content-Type": "text/plain"}
    )
    assert plain.status_code == 422
