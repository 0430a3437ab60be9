"""Votes become ranks in the log; files that cannot count are told apart, one clear error each."""

import json

import numpy as np
import pandas as pd
import pytest
from drawn_studies import drawn_study, quality_votes
from scipy import stats

from synth.errors import InputError, StudyError
from synth.measure.agreement import agreement, interval
from synth.measure.votes import COLUMNS, merge
from synth.measure.voting_page import write_page
from synth.records.rows import read_log
from synth.studies import Study


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Study:
    return drawn_study(tmp_path_factory.mktemp("studies") / "drawn", seeds=6)


@pytest.fixture(scope="module")
def quality(drawn) -> dict[str, float]:
    return {job.key: 1.5 * job.seed for job in drawn.jobs}


@pytest.fixture(scope="module")
def files(drawn, quality, tmp_path_factory):
    page = write_page(drawn, pairs=30)
    return quality_votes(page, tmp_path_factory.mktemp("votes"), quality, ballots=12)


@pytest.fixture
def merged(drawn, files):
    return merge(drawn, files)


def test_ranks_are_those_of_the_quality_that_people_voted_for(merged, quality):
    strengths = merged["key"].map(quality)
    for _, rows in merged.assign(strength=strengths).groupby("phrase"):
        assert stats.spearmanr(rows["bt_score"], rows["strength"])[0] > 0.85
        assert rows["bt_score"].mean() == pytest.approx(0, abs=1e-6)
        assert sorted(rows["bt_rank"]) == [1, 2, 3, 4, 5, 6]
        true = rows["strength"] - rows["strength"].mean()
        assert ((rows["bt_low"] <= true) & (true <= rows["bt_high"])).mean() >= 0.66
    assert merged["votes"].sum() == 2 * 12 * 30
    assert merged["votes"].max() - merged["votes"].min() <= 2  # 30 pairs are all there are


def test_the_columns_say_how_they_came_about_and_are_in_the_files(merged, drawn):
    for column in COLUMNS:
        [model] = merged[f"{column}_model"].unique()
        assert model.startswith("Bradley-Terry (Hunter 2004)") and "360 votes on 12 ballots" in model
    read = read_log(drawn.folder / "log.csv")
    assert read["bt_rank"].tolist() == merged["bt_rank"].tolist()


def test_merging_again_takes_the_place_of_what_was_merged(drawn, files, tmp_path):
    ballot = json.loads(files[0].read_text())
    ballot["votes"] = ballot["votes"][:1]
    (tmp_path / "one.json").write_text(json.dumps(ballot))
    frame = merge(drawn, [tmp_path])
    assert frame["votes"].sum() == 2 and frame["bt_rank"].count() == 2
    [left, right, pick] = ballot["votes"][0]
    assert frame.set_index("key").loc[left if pick == "left" else right, "bt_rank"] == 1


def test_equally_good_is_no_rank_above(drawn, files, tmp_path):
    ballot = json.loads(files[0].read_text())
    ballot["votes"] = [[*ballot["votes"][0][:2], "equal"]]
    (tmp_path / "one.json").write_text(json.dumps(ballot))
    assert merge(drawn, [tmp_path / "one.json"])["bt_rank"].dropna().tolist() == [1, 1]


def changed(file, path, **changes):
    path.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return path


def first_votes(file, count: int = 2) -> list:
    return json.loads(file.read_text())["votes"][:count]


@pytest.mark.parametrize(("make", "words"), [
    (lambda file: {"study": "0" * 64}, "it belongs to another study"),
    (lambda file: {"format": "synth votes 9"}, "give a file that the page of `synth votes page` saved"),
    (lambda file: {"votes": [["0" * 64, "1" * 64, "left"]]}, "votes on 2 pictures that the study does not have"),
    (lambda file: {"votes": first_votes(file, 1) * 2}, "two votes on one pair"),
    (lambda file: {"votes": [[b, a, "left"] for a, b, _ in first_votes(file)] + first_votes(file)}, "two votes on one"),
    (lambda file: {"votes": [[*first_votes(file)[0][:2], "both"]]}, "votes that the page cannot give"),
    (lambda file: {"votes": [[first_votes(file)[0][0]] * 2 + ["left"]]}, "votes that the page cannot give"),
    (lambda file: {"votes": [["a", "b"]]}, "parts of it are missing"),
    (lambda file: {"votes": None}, "parts of it are missing"),
    (lambda file: {"votes": [[1, 2, "left"]]}, "parts of it are missing"),
    (lambda file: {"voter": None}, "parts of it are missing"),
    (lambda file: {"votes": []}, "there is no vote in them"),
])  # fmt: skip
def test_a_file_that_cannot_count_is_told(drawn, files, tmp_path, make, words):
    path = changed(files[0], tmp_path / "bad.json", **make(files[0]))
    with pytest.raises(InputError, match=f"bad.json'?]? cannot be used; .*{words}"):
        merge(drawn, [path])


def test_votes_across_phrases_are_told(drawn, files, tmp_path):
    a, b = (next(job.key for job in drawn.jobs if job.phrase == phrase) for phrase in drawn.plan.prompts)
    with pytest.raises(InputError, match="votes that the page cannot give"):
        merge(drawn, [changed(files[0], tmp_path / "bad.json", votes=[[a, b, "left"]])])


@pytest.mark.parametrize(("data", "words"), [
    (lambda file: file.read_bytes()[:-20], "it is no whole vote file"),
    (lambda file: b"", "it is no whole vote file"),
    (lambda file: b"\xff\xfe\x00", "it is no whole vote file"),
    (lambda file: b"[" * 100_000, "it is no whole vote file"),
    (lambda file: b"[1, 2]", "give a file that the page"),
])  # fmt: skip
def test_a_truncated_or_foreign_file_is_told(drawn, files, tmp_path, data, words):
    (tmp_path / "bad.json").write_bytes(data(files[0]))
    with pytest.raises(InputError, match=f"bad.json' cannot be used; {words}"):
        merge(drawn, [tmp_path / "bad.json"])


def test_a_ballot_that_is_there_twice_a_missing_file_and_an_empty_folder_are_told(drawn, files, tmp_path):
    copy = changed(files[0], tmp_path / "copy.json")
    with pytest.raises(InputError, match="copy.json.*the same ballot as .*0.json: leave out the older one"):
        merge(drawn, [*files, copy])
    with pytest.raises(InputError, match="give a file that can be read"):
        merge(drawn, [tmp_path / "missing.json"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="give vote files, or a folder of them"):
        merge(drawn, [tmp_path / "empty"])


def test_nothing_is_written_when_one_file_cannot_count(drawn, files, tmp_path):
    merge(drawn, files)
    with pytest.raises(InputError):
        merge(drawn, [files[0], changed(files[1], tmp_path / "bad.json", study="x")])
    assert drawn.frame()["votes"].sum() == 2 * 12 * 30


def voted(phrases: list[str], score, **measures) -> pd.DataFrame:
    columns = {
        "key": [f"{n}" for n in range(len(phrases))],
        "phrase": phrases,
        "bt_score": score,
        "bt_score_model": "v",
    }
    for name, values in measures.items():
        columns |= {name: values, f"{name}_model": f"model of {name}"}
    return pd.DataFrame(columns)


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    score = rng.normal(size=30)
    frame = voted(["a"] * 30, score, sharpness=(score + rng.normal(size=30)).round(0), clip_phrase=-score)
    table = agreement(frame).set_index("measure")
    assert list(table.index) == ["sharpness", "clip_phrase"]
    assert table.loc["sharpness", "rho"] == pytest.approx(stats.spearmanr(score, frame["sharpness"])[0])
    assert table.loc["clip_phrase", "rho"] == pytest.approx(-1)
    assert table.loc["sharpness", ["pictures", "model"]].tolist() == [30, "model of sharpness"]


def test_scores_of_several_phrases_are_ranked_within_each():
    frame = voted(["a"] * 6 + ["b"] * 6, [*range(6), *range(6)], sharpness=[*range(6), *range(100, 106)])
    assert agreement(frame)["rho"].tolist() == pytest.approx([1])
    few = voted(["a"] * 6 + ["b"] * 4, [*range(6), *range(4)], sharpness=[*range(6), 3, 2, 1, 0])
    assert agreement(few)[["rho", "pictures"]].to_numpy().tolist() == [[pytest.approx(1), 6]]


def test_what_does_not_vary_or_is_of_groups_has_no_correlation_and_no_votes_are_told():
    frame = voted(["a"] * 6, range(6), sharpness=[1.0] * 6, vendi_pictures=range(6), clip_phrase=[None] * 6)
    assert agreement(frame).empty
    with pytest.raises(StudyError, match="has no votes yet"):
        agreement(frame.drop(columns="bt_score"))


def test_the_interval_is_that_of_its_formula_and_holds_as_often_as_it_says():
    assert interval(0.5, 28) == pytest.approx(np.tanh(np.arctanh(0.5) + np.array([-1.96, 1.96]) * np.sqrt(1.125 / 25)))
    rng, held = np.random.default_rng(1), []
    true = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a normal distribution whose Pearson's is 0.6
    for _ in range(300):
        a, b = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 25).T
        low, high = interval(stats.spearmanr(a, b)[0], 25)
        held.append(low <= true <= high)
    assert 0.92 <= np.mean(held) <= 0.98
