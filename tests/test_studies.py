import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pandas
import pytest
from bench.kill_resume import trial
from filelock import FileLock
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from PIL import Image
from test_jobs import texts

from synth.errors import InputError, ModelError, StudyError
from synth.jobs import ExpansionSettings, Settings
from synth.records.estimates import measured_seconds
from synth.records.plans import RESERVED, Plan, check_name, make_plan, slug
from synth.records.rows import read_log
from synth.studies import Study, delete_study, list_studies, study

SMALL = Settings(steps=2, width=64, height=64)
PROMPTS = ["a red house", "a blue boat"]


@pytest.fixture
def own(tiny_sd, tmp_path):
    """Renders people's own prompts with the tiny model; arguments can be changed."""

    def run(**changes) -> Study:
        arguments = {"prompts": PROMPTS, "seeds": 2, "settings": SMALL, "model": str(tiny_sd), "out": tmp_path}
        return study(**arguments | {"progress": False, "device": "cpu"} | changes)

    return run


@pytest.fixture(scope="module")
def expanded(tiny_sd, tiny_gpt2, tmp_path_factory):
    """A study of a phrase that the tiny GPT-2 expanded: 2 prompts by 2 seeds."""
    root = tmp_path_factory.mktemp("studies")
    return study(
        "a red lighthouse", n=2, seeds=2, settings=SMALL, model=str(tiny_sd), expander=str(tiny_gpt2),
        expansion=ExpansionSettings(max_new_tokens=8), out=root, progress=False,
    )  # fmt: skip


@pytest.fixture
def no_rendering(monkeypatch):
    """Call it, and from then on the test fails if anything is rendered."""
    return lambda: monkeypatch.setattr("synth.rendering.render", lambda *_, **__: pytest.fail("a picture was rendered"))


def plan_with(tiny_sd, **changes) -> Plan:
    return make_plan(**{"prompts": PROMPTS, "model": str(tiny_sd), "settings": SMALL} | changes)


def test_a_phrase_becomes_pictures_with_their_rows(expanded):
    frame = expanded.frame()
    assert list(frame["seed"]) == [0, 1, 0, 1]
    assert list(frame["prompt_index"]) == [0, 0, 1, 1]
    assert set(frame["phrase"]) == {"a red lighthouse"}
    assert [prompt.text for prompt in expanded.expansion] == list(frame["prompt"].unique())
    assert all(prompt.startswith("a red lighthouse") for prompt in frame["prompt"])
    assert list(frame["candidate"]) == [prompt.candidate for prompt in expanded.expansion for _ in range(2)]
    assert frame["logprob"].lt(0).all()
    assert expanded.counts == {"done": 4, "failed": 0, "left": 0}
    assert all(Image.open(expanded.folder / path).size == (64, 64) for path in frame["path"])


def test_the_folder_is_named_by_phrase_and_key_and_holds_what_is_promised(expanded):
    assert expanded.name == f"a-red-lighthouse-{expanded.plan.key[:8]}"
    names = {"plan.json", "journal.sqlite", "log.csv", "log.parquet", "images", ".lock"}
    assert {entry.name for entry in expanded.folder.iterdir()} - {"grid.png"} == names
    pandas.testing.assert_frame_equal(read_log(expanded.folder / "log.csv"), expanded.frame())


def test_a_study_that_is_opened_knows_all_that_was_known(expanded):
    again = Study.open(expanded.name, expanded.folder.parent)
    assert (again.plan, again.expansion, again.jobs) == (expanded.plan, expanded.expansion, expanded.jobs)
    assert len(again.expansion.candidates) > len(again.expansion)
    assert Study.open(expanded.folder).folder == expanded.folder
    assert repr(again) == f"<Study {expanded.folder}: 4 done, 0 failed, 0 left>"


def test_the_grid_is_written_and_returned(expanded):
    assert expanded.grid().get_figwidth() > 0
    assert Image.open(expanded.folder / "grid.png").width > 128


def test_the_same_arguments_render_nothing_again(own, no_rendering):
    first = own()
    before = first.frame()
    no_rendering()
    second = own()
    assert second.folder == first.folder
    pandas.testing.assert_frame_equal(second.frame(), before)


def test_what_is_missing_is_rendered_and_nothing_else(own):
    first = own(strict=True)
    before = first.frame().set_index("key")
    lost = before.index[1]
    (first.folder / before.loc[lost, "path"]).unlink()
    after = own(strict=True).frame().set_index("key")
    assert after.loc[lost, "pixels_sha256"] == before.loc[lost, "pixels_sha256"]
    assert after.loc[lost, "created"] > before.loc[lost, "created"]
    pandas.testing.assert_frame_equal(after.drop(lost), before.drop(lost))


@pytest.mark.parametrize("lost", ["journal.sqlite", "plan.json", "log.csv"])
def test_a_damaged_file_can_be_deleted_as_its_error_says(own, lost, no_rendering):
    first = own()
    before = first.frame()
    if lost != "log.csv":
        (first.folder / lost).write_bytes(b"{ damaged " * 500)
        with pytest.raises(StudyError, match=rf"{lost} is damaged .*delete it and run"):
            own()
    (first.folder / lost).unlink()
    no_rendering()
    pandas.testing.assert_frame_equal(own().frame(), before)
    assert (first.folder / "log.csv").is_file()


def test_a_failed_picture_is_a_row_and_is_tried_again(own, monkeypatch):
    from dataclasses import replace

    from synth import rendering

    def failing(jobs, **how):
        for result in rendering_render(jobs, **how):
            yield replace(result, image=None, status="failed", error="black") if result.job.seed == 1 else result

    rendering_render = rendering.render
    with monkeypatch.context() as patch:
        patch.setattr(rendering, "render", failing)
        first = own()
    assert first.counts == {"done": 2, "failed": 2, "left": 0}
    assert set(first.frame().query("status == 'failed'")["error"]) == {"black"}
    assert own().counts == {"done": 4, "failed": 0, "left": 0}


def test_one_name_holds_one_study(own):
    own(name="mine")
    with pytest.raises(
        StudyError, match=r"another study \(.*n 2, now 1; settings.steps 2, now 3\); choose another name"
    ):
        own(name="mine", prompts=["a red house"], settings=SMALL.but(steps=3))
    assert own(name="mine").counts["done"] == 4


def test_a_damaged_picture_is_rendered_again(own):
    first = own(seeds=1)
    before = first.frame().set_index("key")
    damaged = first.folder / before["path"].iloc[0]
    damaged.write_bytes(damaged.read_bytes()[:300])
    assert own(seeds=1).frame()["pixels_sha256"].iloc[0] == before["pixels_sha256"].iloc[0]
    assert Image.open(damaged).size == (64, 64)


def test_a_lost_plan_is_no_way_to_mix_two_studies(own):
    first = own(name="mine")
    before = first.frame()
    (first.folder / "plan.json").unlink()
    with pytest.raises(StudyError, match="holds 4 pictures of another study; choose another name, or delete it"):
        own(name="mine", prompts=["a green horse"])
    pandas.testing.assert_frame_equal(own(name="mine").frame(), before)


def test_a_picture_whose_pixels_were_damaged_is_rendered_again(own):
    first = own(seeds=1)
    before = first.frame()
    damaged = first.folder / before["path"][0]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 255
    damaged.write_bytes(data)
    assert list(own(seeds=1).frame()["pixels_sha256"]) == list(before["pixels_sha256"])
    with Image.open(damaged) as picture:
        picture.load()


def test_a_model_that_was_moved_renders_nothing_again(own, tiny_sd, tmp_path, no_rendering):
    shutil.copytree(tiny_sd, tmp_path / "here")
    first = own(model=str(tmp_path / "here"))
    before = first.frame()
    (tmp_path / "here").rename(tmp_path / "there")
    no_rendering()
    again = own(model=str(tmp_path / "there"))
    assert again.folder == first.folder
    pandas.testing.assert_frame_equal(again.frame(), before)
    assert Study.open(first.folder).plan.model.name == str(tmp_path / "there")


def test_a_full_disk_at_the_last_figure_is_told(own, monkeypatch):
    found = own(seeds=1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StudyError, match=r"grid\.png cannot be written \(No space left on device\); free some space"):
        found.grid()
    assert not (found.folder / "grid.png").exists()


def test_a_file_where_the_pictures_belong_is_told(own, tmp_path):
    (tmp_path / "mine").mkdir()
    first = own(name="mine")
    for picture in (first.folder / "images").iterdir():
        picture.unlink()
    (first.folder / "images").rmdir()
    (first.folder / "images").write_text("precious")
    with pytest.raises(StudyError, match="images is a file where a folder belongs"):
        own(name="mine")


def test_a_folder_of_other_files_is_left_alone(own, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    with pytest.raises(StudyError, match="other files in it; choose another name"):
        own(name="thesis")
    with pytest.raises(StudyError, match="is no study and was not deleted"):
        delete_study("thesis", tmp_path)
    (tmp_path / "note").write_text("precious")
    with pytest.raises(StudyError, match="is a file; choose another name"):
        own(name="note")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == (tmp_path / "note").read_text() == "precious"


def test_two_processes_never_render_one_study(own):
    first = own()
    with FileLock(first.folder / ".lock"), pytest.raises(StudyError, match="in use by another process"):
        own()
    with FileLock(first.folder / ".lock"), pytest.raises(StudyError, match="in use by another process"):
        delete_study(first.name, first.folder.parent)
    assert own().counts["done"] == 4


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"prompts": None}, "phrase"), ({"phrase": "", "prompts": None}, "phrase"),
        ({"phrase": "x" * 10_000}, "phrase"),
        ({"phrase": "a\0b"}, "phrase"), ({"prompts": []}, "prompts"), ({"prompts": "a house"}, "prompts"),
        ({"prompts": ["a", "a"]}, "prompts"), ({"prompts": ["a\0"]}, "prompts"), ({"seeds": 0}, "seeds"),
        ({"seeds": -3}, "seeds"), ({"seeds": []}, "seeds"), ({"seeds": [1, 1]}, "seeds"), ({"seeds": "1"}, "seeds"),
        ({"seeds": [1.5]}, "seeds"), ({"seeds": True}, "seeds"), ({"seed": -1}, "seed"), ({"seeds": 10**9}, "seeds"),
        ({"prompts": None, "phrase": "a", "n": 0}, "n"), ({"prompts": None, "phrase": "a", "n": -1}, "n"),
        ({"seed": 2**63 - 1}, "seeds"), ({"model": "vignetes"}, "model"), ({"device": "gpu"}, "device"),
        ({"dtype": "float31"}, "dtype"), ({"batch_size": 0}, "batch_size"), ({"name": "../up"}, "name"),
        ({"name": "CON"}, "name"), ({"name": "nul.txt"}, "name"), ({"name": ".git"}, "name"), ({"name": "a\0"}, "name"),
        ({"name": ""}, "name"), ({"name": "x."}, "name"), ({"out": "/dev/null"}, "out"), ({"out": "/proc/x"}, "out"),
        ({"out": "/dev/null/x"}, "out"), ({"out": "a\0b"}, "out"), ({"strict": "False"}, "strict"),
        ({"batch_size": 257}, "batch_size"),
    ],
)  # fmt: skip
def test_bad_arguments_are_told_before_anything_is_made(own, tmp_path, no_rendering, arguments, field):
    no_rendering()
    with pytest.raises(InputError, match=f"^{field}: .*cannot be used; ."):
        own(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_told_before_anything_is_made(own, tmp_path):
    with pytest.raises(ModelError, match="There is no model"):
        own(model="/no/such/model")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_told(own, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="give a folder that you may write to"):
        own()
    assert list(tmp_path.iterdir()) == []


def test_many_pictures_need_a_yes(own, tmp_path, no_rendering):
    no_rendering()
    with pytest.raises(InputError, match=r"that is 2,000 pictures and takes about 50 seconds \(a rough guess.*--yes"):
        own(seeds=1000)
    assert list(tmp_path.iterdir()) == []


def test_the_time_of_many_pictures_is_measured_where_it_can_be(own, tmp_path, tiny_sd):
    frame = own().frame()
    each = (frame["seconds"] / (2 * 64 * 64)).median()
    assert measured_seconds(tmp_path, str(tiny_sd)) == pytest.approx(each)
    with pytest.raises(InputError, match="as measured here before"):
        own(seeds=1000)
    assert measured_seconds(tmp_path, "another") is None


def test_a_full_disk_stops_the_study_and_loses_nothing(own, monkeypatch):
    from synth import journal

    saved = []

    def nearly_full(image, path, *rest):
        if len(saved) == 2:
            raise OSError(28, "No space left on device")
        saved.append(path)
        return really_save(image, path, *rest)

    really_save = journal.save_picture
    with monkeypatch.context() as patch, pytest.raises(StudyError, match="No space left .* free some space and run"):
        patch.setattr(journal, "save_picture", nearly_full)
        own(name="full")
    created = {row["key"]: row["created"] for row in Study.open("full", saved[0].parents[2]).frame().to_dict("records")}
    after = own(name="full").frame().set_index("key")
    assert len(created) == 2
    assert len(after) == 4
    assert {key: after.loc[key, "created"] for key in created} == created


def test_names_are_seeds_in_order_and_prompts_by_seeds(own):
    found = own(seeds=[7, 3], name="seeds")
    assert [(job.prompt, job.seed) for job in found.jobs] == [(prompt, seed) for prompt in PROMPTS for seed in (7, 3)]
    assert {job.phrase for job in own(phrase="two things", seeds=1).jobs} == {"two things"}


def test_words_that_the_model_never_sees_are_warned_about_once(own):
    with pytest.warns(UserWarning) as warned:
        found = own(prompts=["long " * 40, "longer " * 40], seeds=1)
    assert len(warned) == 1
    assert found.frame()["truncated"].ne("").all()


def test_progress_goes_to_stderr_and_can_be_silenced(own, capfd):
    own(name="silent")
    assert capfd.readouterr().out == ""
    own(name="loud", progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert re.search(r"rendering: 100%.*4/4", captured.err)


def test_studies_are_listed_and_deleted(own, tmp_path):
    own(name="b", seeds=1), own(name="a", seeds=1)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "plan.json").write_text("{")
    (tmp_path / "other").mkdir()
    listed = list_studies(tmp_path)
    assert [(item.name, item.done, bool(item.problem)) for item in listed] == [
        ("a", 2, False),
        ("b", 2, False),
        ("broken", 0, True),
    ]
    assert listed[0].phrase == "a red house"
    delete_study("a", tmp_path)
    delete_study("broken", tmp_path)
    assert [item.name for item in list_studies(tmp_path)] == ["b"]
    assert list_studies(tmp_path / "none") == []


@pytest.mark.parametrize("name", ["..", "../b", ".", "", "/", "b/images", "none"])
def test_only_studies_right_under_the_root_are_deleted(own, tmp_path, name):
    own(name="b", seeds=1)
    with pytest.raises((StudyError, InputError)):
        delete_study(name, tmp_path)
    assert Study.open("b", tmp_path).counts["done"] == 2


def test_a_link_to_a_study_is_not_followed(own, tmp_path):
    found = own(name="b", seeds=1)
    (tmp_path / "link").symlink_to(found.folder)
    with pytest.raises(StudyError, match="is no study and was not deleted"):
        delete_study("link", tmp_path)
    assert found.counts["done"] == 2


def test_a_study_that_is_not_there_names_the_nearest(own, tmp_path):
    with pytest.raises(StudyError, match="there is none yet"):
        Study.open("lighthouse", tmp_path)
    own(name="lighthouse", seeds=1)
    with pytest.raises(StudyError, match="did you mean 'lighthouse'"):
        Study.open("lighthose", tmp_path)
    own(name="row", seeds=1, out=tmp_path / "batch")
    with pytest.raises(StudyError, match="did you mean 'batch/row'"):
        Study.open("row", tmp_path)
    assert Study.open("batch/row", tmp_path).name == "row"


@given(st.one_of(st.text(max_size=200), st.sampled_from(["../..", "CON", "nul", "a\0b", "مرحبا", "🏠", "COM1", ""])))
def test_a_slug_is_a_safe_name(text):
    name = slug(text)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert len(name) <= 46
    assert name not in RESERVED
    assert check_name(name) == name


def test_slugs_end_at_a_word():
    assert slug("A red lighthouse at sunset, in the fog, painted") == "a-red-lighthouse-at-sunset-in-the-fog"
    assert slug("x" * 60) == "x" * 40
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("灯台") == "study"


@profile(max_examples=30, deadline=None)
@given(
    prompts=st.lists(texts.map(str.strip), min_size=1, max_size=3, unique=True),
    seeds=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_a_plan_survives_json(tiny_sd, prompts, seeds, seed):
    plan = plan_with(tiny_sd, prompts=prompts, seeds=seeds, seed=seed)
    again = Plan.from_dict(json.loads(json.dumps(plan.as_dict())))
    assert (again, again.key) == (plan, plan.key)
    assert plan.pictures == len(plan.jobs(plan.prompts)) == len({job.key for job in plan.jobs(plan.prompts)})


def test_every_argument_changes_the_key(tiny_sd, tiny_gpt2):
    base = {"prompts": None, "phrase": "a house", "expander": str(tiny_gpt2)}
    changes = [
        {}, {"phrase": "a home"}, {"n": 5}, {"seeds": 5}, {"seeds": [4, 3]}, {"seed": 1},
        {"settings": SMALL.but(steps=3)},
        {"expansion": ExpansionSettings(temperature=0.5)}, {"strict": True}, {"prompts": ["a house"]},
    ]  # fmt: skip
    assert len({plan_with(tiny_sd, **base | change).key for change in changes}) == len(changes)


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(own, tmp_path):
    stopped = threading.Event()

    def interrupt_after_three():
        while len(list(tmp_path.glob("run/images/*.png"))) < 3:
            time.sleep(0.005)
        while not stopped.is_set():  # Python drops an interrupt that comes within a finaliser; people press again
            os.kill(os.getpid(), signal.SIGINT)
            stopped.wait(3)

    finger = threading.Thread(target=interrupt_after_three)
    finger.start()
    stopping = pytest.raises(
        KeyboardInterrupt, match=r"Stopped: \d+ of 200 pictures are safe in .*run; run the same again"
    )
    try:
        with stopping as told:
            own(name="run", seeds=100, settings=SMALL.but(steps=100), batch_size=2)
    finally:  # or it would go on with the tests that follow
        stopped.set()
        finger.join()
    done = Study.open("run", tmp_path).counts["done"]
    assert f"Stopped: {done} of" in str(told.value)
    assert 3 <= done == len(list((tmp_path / "run" / "images").iterdir())) < 200


def test_a_finished_study_is_read_without_torch(own, tmp_path):
    found = own()
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from synth.studies import Study, list_studies
assert Study.open({found.name!r}, {str(tmp_path)!r}).counts["done"] == list_studies({str(tmp_path)!r})[0].done == 4
heavy = {{"torch", "diffusers", "transformers", "pandas", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_five_kills_lose_double_and_repeat_nothing(tiny_sd, tmp_path):
    chance, kills = random.Random(os.getpid()), 0
    while kills < 5:  # a study may be done before it was killed five times
        kills += trial(tmp_path / str(kills), tiny_sd, chance, most_kills=5 - kills)["kills"]
