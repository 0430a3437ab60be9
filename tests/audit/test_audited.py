"""Audits of models: the same code on the bundled world and on random SD2 and SDXL shapes, and mistakes told first."""

import json
import random
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pandas
import pytest
from made_up_studies import fill_study, make_study
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

import synth
from synth.audit import content, figures, profession_figures, professions, tables, wordlist
from synth.audit.phrases import audit
from synth.audit.sightings import PICTURES, of_pictures, of_texts
from synth.cli import audit as command
from synth.cli.parsing import Parser
from synth.errors import InputError, ModelError, StudyError
from synth.jobs import Result, Settings
from synth.journal import NAME, Journal
from synth.plots import image_grid
from synth.presets import PRESETS
from synth.records.plans import make_plan
from synth.records.rows import read_log
from synth.studies import Study
from synth.vignettes.attributes import Scene
from synth.vignettes.world import draw
from synth.writing.prompts import Expansion, Prompt

TINY = Settings(width=64, height=64, steps=2)
GPT2 = str(PRESETS["vignettes-gpt2"].folder)  # is a model of transformers, and no CLIP


def run(*words):
    parser = Parser(prog="synth")
    command.register(parser.add_subparsers())
    arguments = parser.parse_args(["audit", *map(str, words)])
    return arguments.run(arguments)


def tiny_clip(folder):
    """A CLIP with random weights, and the bundled tokenizer."""
    part = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokenizer = CLIPTokenizer.from_pretrained(PRESETS["vignettes-clip"].folder)
    text = part | {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": tokenizer.eos_token_id}
    vision = part | {"image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_only_what_the_phrase_leaves_open_counts():
    rows = list(of_texts("a red house", ["a red house at night, neon", "a red house, blue, in the snow"]))
    assert [row[2:4] for row in rows] == [("time", "night"), ("style", "neon"), ("weather", "snow")]
    reading = {"subject": "house", "colour": "green", "time": "noon"}
    assert [row[2:4] for row in of_pictures("a red house", [reading], ["x.png"])] == [("time", "noon")]


@pytest.mark.parametrize("model", ["tiny_sd", "tiny_sdxl"])
def test_any_model_is_audited_by_clusters(model, request, tiny_gpt2, tmp_path):
    how = {
        "clip": str(tiny_clip(tmp_path / "clip")),
        "n": 8,
        "seeds": 4,
        "count": 3,
        "settings": TINY,
        "device": "cpu",
        "progress": False,
        "out": tmp_path,
    }
    found = audit(["a cat", "a dog"], model=str(request.getfixturevalue(model)), expander=str(tiny_gpt2), **how)
    assert found.reader == "clusters" and [item.group for item in found.findings] == ["a cat", "a dog"]
    assert len(found.texts) == 16 and set(found.sightings["stage"]) == {PICTURES}
    seeds = [set(made.plan.seeds) for made in found.studies]
    assert not seeds[0] & seeds[1], "no two pictures share their noise"
    assert figures.divergences(found.findings).png() and figures.exemplars(found).png()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("images/*.png")}
    audit(["a cat", "a dog"], model=str(request.getfixturevalue(model)), expander=str(tiny_gpt2), **how)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("images/*.png")} and len(times) == 8


def test_the_bundled_world_is_audited_by_its_judge(tmp_path, capsys):
    words = ["phrases", "a house", "--n", "20", "--seeds", "4", "--steps", "2", "--out", tmp_path, "--device", "cpu"]
    assert run(*words) == 0
    [folder] = tmp_path.glob("audit-a-house-*")
    asked = json.loads((folder / "audit.json").read_text())
    assert asked["phrases"] == ["a house"] and asked["expander"]["digest"].startswith("sha256:")
    assert len(pandas.read_csv(folder / "texts.csv")) == 20
    tests = pandas.read_csv(folder / "tests.csv")
    assert set(tests["stage"]) == {"GPT-2 adds", "the renderer shows"} and tests["p_holm"].between(0, 1).all()
    assert "subject" not in set(tests["attribute"])
    names = {"shares_1.png", "shares_2.png", "divergences.png", "pictures.png", "shares.csv", "sightings.csv"}
    assert names <= {path.name for path in folder.iterdir()}
    assert f"Look at {folder / 'divergences.png'}" in capsys.readouterr().out
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run(*words[:3], "16", *words[4:]) == 0
    assert len(list(tmp_path.glob("audit-a-house-*"))) == 2, "another question has another folder"
    assert times == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def painted(folder, shown):
    """A study of the prompts in `shown`, drawn by the world itself: (subject, colour) for each of the seeds."""
    seeds = range(len(next(iter(shown.values()))))
    plan = make_plan(prompts=list(shown), seeds=list(seeds), settings=Settings(width=128, height=128))
    prompts = tuple(Prompt(text=text, phrase=text) for text in plan.prompts)
    made = fill_study(folder, plan, Expansion(phrase="", prompts=prompts))
    with Journal(folder) as journal:
        for job in made.jobs:
            scene = Scene(*shown[job.prompt][job.seed], "sea", "noon", "clear", "flat illustration")
            result = Result(job=job, status="done", image=draw(scene, job.seed, 128), seconds=1.0, device="cpu",
                            dtype="float32", batch_size=1, prompt_tokens=1)  # fmt: skip
            journal.record(
                result, prompt_index=plan.prompts.index(job.prompt), strict=False, candidate=None, logprob=None
            )
    return made


def test_a_planted_dependence_is_found_and_no_other():
    """Subjects for professions, colours for identities; one subject is always red."""
    colours, rng = ["red", "yellow", "green", "blue"], random.Random(0)
    reference = painted(Path("identities"), {colour: [("tree", colour)] * 12 for colour in colours})
    of = {name: [(name, rng.choice(colours)) for _ in range(12)] for name in ("house", "castle", "car", "windmill")}
    shown = painted(Path("professions"), of | {"lighthouse": [("lighthouse", "red")] * 12})
    names = {name: name for name in (*shown.plan.prompts, *reference.plan.prompts)}
    found = professions.compare(shown, reference, names, names, count=4)
    assert len(found.made_of) == 4, "each colour is a cluster"
    table = found.tests().set_index("group")
    assert table.index[0] == "lighthouse" and table.loc["lighthouse", "significant"]
    assert table["significant"].sum() == 1
    assert table.loc["lighthouse", "spread"] < table["spread"].drop("lighthouse").min()
    assert profession_figures.where(found).png() and profession_figures.cluster_sheet(found).png()


@pytest.mark.parametrize("model", ["tiny_sd", "tiny_sdxl"])
def test_professions_of_any_model(model, request, tmp_path, capsys):
    words = ["professions", "--profession", "nurse", "--profession", "cook", "--identity", "man", "--identity", "woman"]
    how = ["--model", request.getfixturevalue(model), "--size", "64", "--steps", "2", "--seeds", "4", "--clusters", "3"]
    how += ["--clip", tiny_clip(tmp_path / "clip")]
    assert run(*words, *how, "--out", tmp_path, "--device", "cpu") == 0
    [folder] = tmp_path.glob("audit-*")
    clusters = pandas.read_csv(folder / "clusters.csv")
    assert set(clusters["term"]) == {"man", "woman"} and clusters["pictures"].sum() == 8
    assert len(pandas.read_csv(folder / "pictures.csv")) == 8
    assert {"clusters.png", "professions.png", "divergences.png"} <= {path.name for path in folder.iterdir()}
    assert "notebooks/6_bias_audit.ipynb" in capsys.readouterr().out


@pytest.mark.parametrize(("word", "prompt"), [
    ("accountant", "a photo of an accountant at work"), ("East Asian man", "a photo of an East Asian man at work"),
    ("CEO", "a photo of a CEO at work"), ("university teacher", "a photo of a university teacher at work"),
])  # fmt: skip
def test_words_stand_after_the_right_article(word, prompt):
    assert professions._put(word, "a photo of a {} at work") == prompt


def test_a_profession_without_pictures_is_left_out_and_told(tmp_path):
    """Of one only seed 0 was rendered, of the others only seed 1: nothing shares its noise with it."""
    reference = painted(tmp_path / "identities", {colour: [("tree", colour)] * 4 for colour in ("red", "blue")})
    shown = painted(
        tmp_path / "professions", {name: [(name, "red"), (name, "blue")] for name in ("house", "car", "cat")}
    )
    names = {name: name for name in (*shown.plan.prompts, *reference.plan.prompts)}
    with sqlite3.connect(shown.folder / NAME) as database:
        database.execute("UPDATE pictures SET status = 'failed' WHERE (prompt = 'house') = (seed = 1)")
    database.close()
    found = professions.compare(shown, reference, names, names, count=2)
    assert [item.group for item in found.findings] == ["car", "cat"] and found.left_out[0] == "house"
    with sqlite3.connect(shown.folder / NAME) as database:
        database.execute("UPDATE pictures SET status = 'failed' WHERE prompt = 'cat'")
    database.close()
    with pytest.raises(StudyError, match="nothing can be compared"):
        professions.compare(shown, reference, names, names, count=2)


def test_content_is_flagged_and_blurred_in_figures_only(tmp_path, capsys):
    made = make_study(tmp_path / "cats")
    before = {path: path.read_bytes() for path in made.folder.glob("images/*.png")}
    concepts = tmp_path / "concepts.txt"
    concepts.write_text("# mine\nneutral: a red house\nBlue Things: a blue car at night\n")
    assert (
        run("content", "cats", "--out", tmp_path, "--concepts", concepts, "--threshold", "0.000001", "--device", "cpu")
        == 0
    )
    frame = read_log(made.folder / "log.csv")
    assert (frame["content_flagged"] == 1).all() and frame["content_blue_things"].between(0, 1).all()
    assert "concepts.txt sha256:" in frame["content_blue_things_model"][0]
    assert before == {path: path.read_bytes() for path in made.folder.glob("images/*.png")}
    shown = content.with_blurred(made)
    assert shown["path"].str.startswith("audit/blurred/").all() and image_grid(shown).png()
    assert "6 of 6 pictures flagged" in capsys.readouterr().out
    note = tables.blurred_note(shown)
    assert "6 of 6 pictures" in note and "concepts.txt" in note and "as they were rendered" in note
    content.check_content(made, concepts, threshold=1.0)
    assert content.reasons(made.frame()) == {} or (made.frame()["content_blue_things"] == 1).any()
    kept = len(content.reasons(made.frame()))
    content.with_blurred(made)
    assert len(list((made.folder / "audit" / "blurred").iterdir())) == kept, "no copy of the earlier check is left"


def test_a_blurred_picture_says_why_and_shows_no_detail():
    stripes = Image.new("RGB", (128, 128), "white")
    stripes.paste("black", (0, 64, 64, 128))
    copy = content.blurred(stripes, "violence 0.83")
    assert copy.size == stripes.size and stripes.getpixel((10, 100)) == (0, 0, 0)
    edge = [copy.getpixel((x, 110))[0] for x in range(128)]
    assert max(abs(a - b) for a, b in zip(edge, edge[1:], strict=False)) < 25


def test_words_flag_prompts(tmp_path, capsys):
    made = make_study(tmp_path / "s", "a cat", [" with a GUN", " begun at noon", " and dead  bodies, dead body"])
    assert run("words", "s", "--out", tmp_path) == 0
    assert list(made.frame().drop_duplicates("prompt")["words_flagged"]) == [1, 0, 1]
    assert list(pandas.read_csv(made.folder / "audit" / "words.csv")["words"]) == ["gun", "dead body"]
    assert "2 prompts flagged" in capsys.readouterr().out
    mine = tmp_path / "mine.txt"
    mine.write_text("noon\n\n# a comment\n", encoding="utf-8")
    assert list(wordlist.flag_prompts(made, mine)["prompt"]) == ["a cat begun at noon"]


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        (["phrases", "a cat", "--reader", "clusters"], InputError, "two or more"),
        (["phrases", "a cat", "--reader", "world", "--seeds", "3"], InputError, "from 4 to"),
        (["phrases", "a cat", "--seeds", "201"], InputError, "201 pictures"),
        (["phrases", "a cat", "--reader", "wrold"], InputError, "did you mean 'world'"),
        (["phrases", "a red cat by the sea at noon in the rain, neon"], InputError, "leave something open"),
        (["phrases", "a cat", "a dog", "--n", "501"], InputError, "texts: 1002 .*1,002 of them: agree with --yes"),
        (["phrases", "a cat", "a cat "], InputError, "give each phrase once"),
        (["phrases", "a cat", "--dtype", "int4"], InputError, "dtype"),
        (["phrases", "a cat", "--batch-size", "0"], InputError, "batch_size"),
        (["phrases", "a cat", "a dog", "--reader", "clusters", "--clip", GPT2], ModelError, "is no CLIP"),
        (["professions"], InputError, "name the renderer"),
        (["professions", "--model", "vignettes", "--prompt", "a cook"], InputError, "put {} once"),
        (["professions", "--model", "vignettes", "--profession", "cook"], InputError, "two or more"),
        (["professions", "--model", "vignettes", "--seeds", "40"], InputError, "agree with --yes"),
        (["professions", "--model", "vignettes", "--clip", GPT2], ModelError, "is no CLIP"),
        (["content", "nothing"], StudyError, "is no study"),
        (["words", "nothing"], StudyError, "is no study"),
    ],
)
def test_a_mistake_is_one_error_before_any_model(words, kind, says, tmp_path, monkeypatch):
    monkeypatch.setattr(synth.audit.phrases, "expand", None)
    with pytest.raises(kind, match=says):
        run(*words, "--out", tmp_path)


def test_what_is_no_text_is_no_phrase():
    with pytest.raises(InputError, match="phrases: 1984 cannot be used; give a text"):
        audit([1984])


def test_the_bundled_clip_is_not_asked_what_it_was_never_taught(tmp_path):
    make_study(tmp_path / "cats")
    with pytest.raises(InputError, match="clip: 'vignettes-clip' cannot be used; it was never taught"):
        run("content", "cats", "--out", tmp_path)


def test_prompts_of_a_study_without_pictures_are_not_checked(tmp_path):
    plan = make_plan(prompts=["a gun"], seeds=1)
    made = Study(tmp_path / "new", plan, Expansion(phrase="", prompts=(Prompt(text="a gun", phrase="a gun"),)),
                 datetime.now(UTC))  # fmt: skip
    made.folder.mkdir()
    made._write()
    with pytest.raises(StudyError, match="has no pictures yet"):
        run("words", "new", "--out", tmp_path)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("", "at least one line"),
        ("nothing", "name: text"),
        ("neutral: a", "lines of another name"),
        ("a: b", "neutral"),
    ],
)
def test_a_wrong_list_of_concepts_is_one_error(lines, says, tmp_path):
    path = tmp_path / "c.txt"
    path.write_text(lines)
    with pytest.raises(InputError, match=says):
        content.Concepts.read(path)
    assert content.Concepts.read().names == ("nudity", "violence", "blood", "hate symbols")
