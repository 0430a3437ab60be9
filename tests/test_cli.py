"""The command line: every command on tiny models, and one line for every mistake."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pandas
import pytest
from PIL import Image
from tiny_diffusion import build_tiny_sd

from synth.cli import COMMANDS, main
from synth.cli.parsing import table
from synth.cli.train import STAGES
from synth.jobs import ExpansionSettings, Settings
from synth.records.rows import COLUMNS, read_log
from synth.reporting import Report
from synth.studies import Study, list_studies
from synth.writing.prompts import Expansion

EVERY = [[name, *rest] for name, subs in COMMANDS.items() for rest in ([], *([sub] for sub in subs))]
SMALL = ["--steps", "2", "--size", "64", "--device", "cpu"]


@pytest.fixture
def synth(capsys):
    """Runs a command; gives its exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def pair(tiny_sd, tmp_path, synth):
    """A study of two people's prompts by one seed, named pair."""
    tmp_path.joinpath("prompts.txt").write_text("a red house\n\na blue boat\n", encoding="utf-8")
    code, out, _ = synth("render", "prompts.txt", "--model", tiny_sd, "--seeds", "1", "--name", "pair", *SMALL)
    assert code == 0, out
    return Study.open("pair")


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_has_help_with_an_example(words, capsys):
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    help_text = capsys.readouterr().out
    assert end.value.code == 0
    assert re.search(rf"examples?:\n  synth {' '.join(words)}", help_text)


@pytest.mark.parametrize(("command", "classes"), [
    (["report"], (Settings, ExpansionSettings)),
    (["study", "run"], (Settings, ExpansionSettings)),
    (["render"], (Settings,)),
    (["expand"], (ExpansionSettings,)),
])  # fmt: skip
def test_every_setting_is_an_option_with_its_default(command, classes, capsys):
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    for field in (field for cls in classes for field in fields(cls)):
        assert f"--{field.name.replace('_', '-')} " in help_text
        if isinstance(field.default, (int, float)) and field.default:
            assert f"(default: {field.default})" in help_text


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == "synth 0.1.0\n"


@pytest.mark.parametrize(("words", "message"), [
    ([], "required: COMMAND"),
    (["reprot", "a phrase"], "did you mean 'report'?"),
    (["vignettes", "shete"], "did you mean 'sheet'?"),
    (["study", "lst"], "did you mean 'list'?"),
    (["study"], "list | show"),
    (["report", "a house", "--stpes", "3"], "did you mean --steps?"),
    (["report", "a house", "--step=3"], "did you mean --steps?"),
    (["report", "a", "house"], "'house' is one word too many"),
    (["report"], "give a phrase"),
    (["report", ""], "give at least one word"),
    (["report", "a house", "-p", "stpes=3"], "did you mean 'steps'?"),
    (["report", "a house", "-p", "steps"], "give it as name=value"),
    (["report", "a house", "-p", "steps=many"], "give a whole number"),
    (["report", "a house", "--steps", "3", "-p", "steps=4"], "not both"),
    (["report", "a house", "--seeds", "3,7"], "seeds"),
    (["expand", "a house", "--n", "many"], "n: 'many' cannot be used; give a whole number"),
    (["expand", "a house", "--temperature", "9"], "temperature: 9.0 cannot be used"),
    (["expand", "a house", "--expander", "gtp2"], "did you mean 'gpt2'?"),
    (["study", "run", "a house", "--scheduler", "eulr"], "did you mean 'euler'?"),
    (["study", "run", "a house", "--size", "100x100"], "use a multiple of 8, such as 96 or 104"),
    (["study", "run", "a house", "--size", "64", "--width", "64"], "neither --width nor --height"),
    (["study", "run", "a house", "--n", "0"], "use a whole number from 1"),
    (["study", "run", "a house", "--model", "sd3"], "did you mean"),
    (["study", "show", "nothing"], "is no study"),
    (["study", "delete", "nothing"], "is no study"),
    (["render"], "give a file of prompts"),
    (["render", "nothing.txt"], "give a file that can be read"),
    (["render", "--prompt", "a house", "--lora", "nothing.safetensors=much"], "give a number"),
    (["log", "nothing"], "is no study"),
    (["log", "x" * 10_000], "is no study"),
    (["verify", "nothing.png"], "nothing.png"),
    (["batch", "nothing.csv"], "nothing.csv"),
    (["study", "run", "a house", "--size", "9" * 5000], "give it as 768 or 768x512"),
    (["study", "run", "a house", "--expander", "sd2"], "expander: 'sd2' cannot be used; it is no expander"),
    (["vignettes", "sheet", "--count", "0"], "count"),
    (["vignettes", "sheet", "sheet.foo"], "file: 'sheet.foo' cannot be used; give it an ending"),
    (["train", "vignettes", "--stage", "vea"], "vea"),
])  # fmt: skip
def test_a_mistake_is_one_line_on_stderr(words, message, synth):
    code, out, err = synth(*words)
    assert (code, out) == (2, "")
    assert err.startswith("synth: ") and err.count("\n") == 1
    assert message in err


def test_expand_prints_a_prompt_on_each_line(synth, tiny_sd, tiny_gpt2):
    words = ["expand", "a red house", "--n", "3", "--model", tiny_sd, "--expander", tiny_gpt2, "--max-new-tokens", "6"]
    code, out, _ = synth(*words)
    prompts = out.splitlines()
    assert code == 0 and len(set(prompts)) == 3
    assert all(prompt.startswith("a red house") for prompt in prompts)
    _, as_json, _ = synth(*words, "--json")
    expansion = Expansion.from_dict(json.loads(as_json))
    assert [prompt.text for prompt in expansion] == prompts and expansion.settings.max_new_tokens == 6
    _, listing, _ = synth(*words, "--candidates")
    assert len(listing.splitlines()) == 1 + len(expansion.candidates) and "not chosen" in listing


def test_a_study_is_run_listed_shown_and_deleted(synth, tiny_sd, tiny_gpt2):
    how = ["--n", "2", "--seeds", "3,7", "--model", tiny_sd, "--expander", tiny_gpt2, "--max-new-tokens", "6", *SMALL]
    code, out, _ = synth("study", "a red house", *how)
    [summary] = list_studies()
    assert code == 0 and out.startswith("4 pictures") and f"{summary.folder}/grid.png" in out
    assert summary.folder.joinpath("grid.png").is_file()
    assert {job.seed for job in Study.open(summary.name).jobs} == {3, 7}
    _, again, _ = synth("study", "run", "a red house", *how)
    assert again == out and len(list_studies()) == 1
    assert summary.name in synth("study", "list")[1]
    shown = synth("study", "show", summary.name)[1]
    assert "4 done, 0 failed, 0 left" in shown and "ddim" in shown and "a red house" in shown
    assert synth("study", "delete", summary.name)[0] == 0
    assert synth("study", "list")[1] == "There is no study in generated_images yet.\n"


def test_render_takes_prompts_from_a_file_and_from_the_command_line(synth, pair, tiny_sd):
    assert [prompt.text for prompt in pair.expansion] == ["a red house", "a blue boat"]
    assert pair.counts == {"done": 2, "failed": 0, "left": 0}
    one = ["--prompt", "a cat", "--seeds", "1", "--seed", "5", "--name", "cat"]
    code, *_ = synth("render", *one, "--model", tiny_sd, *SMALL)
    [job] = Study.open("cat").jobs
    assert (code, job.prompt, job.seed, job.settings.width) == (0, "a cat", 5, 64)


def test_log_prints_and_exports_every_row(synth, pair):
    code, out, _ = synth("log", "pair")
    assert code == 0 and out.count("done") == 2 and "a blue boat" in out
    assert [line.split()[0] for line in out.splitlines()] == ["prompt", "1", "2"]  # as in report and grid
    synth("log", pair.folder, "--csv", "rows.csv", "--json", "rows.json", "--parquet", "rows.parquet")
    rows = json.loads(Path("rows.json").read_text(encoding="utf-8"))
    keys = [job.key for job in pair.jobs]
    assert list(read_log("rows.csv")["key"]) == list(pandas.read_parquet("rows.parquet")["key"]) == keys
    assert [row["key"] for row in rows] == keys and list(rows[0]) == list(COLUMNS)


def test_verify_tells_equal_different_and_unreadable(synth, pair, tiny_sd, tmp_path):
    picture = sorted(pair.folder.glob("images/*.png"))[0]
    copy = tmp_path / "elsewhere.png"
    shutil.copy(picture, copy)
    code, out, _ = synth("verify", copy)
    assert (code, out) == (0, f"{copy}: equal\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    code, out, err = synth("verify", tmp_path / "other.png", copy)
    assert code == 2 and "equal" in out and err.startswith("synth: ") and "other.png" in err


def test_verify_of_other_weights_is_no_success(synth, tmp_path):
    model = build_tiny_sd(tmp_path / "model")
    synth("render", "--prompt", "a cat", "--seeds", "1", "--model", model, "--name", "cat", *SMALL)
    shutil.rmtree(model)
    build_tiny_sd(model, seed=1)
    [picture] = Study.open("cat").folder.glob("images/*.png")
    code, out, _ = synth("verify", picture)
    assert code == 1 and "differs by up to" in out and "weights" in out


@pytest.mark.parametrize(("failed", "code", "words"), [(0, 0, "2 pictures, 7"), (1, 1, "2 pictures, 1 failed, 7")])
def test_report_ends_with_where_to_look(failed, code, words, synth, tiny_sd, tiny_gpt2, monkeypatch):
    requests = []

    def make(request, progress):  # which takes a notebook's time; .ci/run and tests/test_reporting.py run the real one
        requests.append(request)
        return Report(request.folder, request.folder / "report.html", request.folder / "report.ipynb", 2, failed, 6.8)

    monkeypatch.setattr("synth.reporting.make", make)
    ended = synth(
        "report", "1984", "-p", "n=1", "-p", 'banned_words=["war"]', "--seeds", "2", "--name", "year",
        "--model", tiny_sd, "--expander", tiny_gpt2, *SMALL,
    )  # fmt: skip
    assert ended == (code, f"{words} seconds. Look at generated_images/year/report.html\n", "")
    [request] = requests
    assert request.plan.phrase == "1984" and request.plan.expansion.banned_words == ("war",)
    assert request.plan.settings.steps == 2 and request.plan.seeds == (0, 1)


def test_a_batch_with_a_failing_row_ends_with_1(synth, tmp_path):
    tmp_path.joinpath("rows.csv").write_text("phrase,model\na red house,nothing\n")
    code, out, _ = synth("batch", "rows.csv")
    assert code == 1 and "row 1, failed: model: 'nothing'" in out and "0 of 1 reports are done" in out
    assert "the batch rows: synth study list --out generated_images/rows" in synth("study", "list")[1]


def test_vignettes_are_drawn_on_a_sheet_and_into_a_folder(synth, tmp_path):
    assert synth("vignettes", "sheet", "sheet.png", "--count", "3", "--columns", "2", "--size", "64")[0] == 0
    with Image.open("sheet.png") as picture:
        assert picture.width == 2 * 72 + 8
    assert synth("vignettes", "dataset", "scenes", "--count", "2", "--size", "64", "--split", "held-out")[0] == 0
    lines = (tmp_path / "scenes/metadata.jsonl").read_text().splitlines()
    assert [(tmp_path / "scenes" / json.loads(line)["file_name"]).is_file() for line in lines] == [True, True]


def test_training_runs_the_stages_in_order_and_replaces_nothing_unasked(synth, monkeypatch):
    from synth.train import vignettes as trainer

    calls = []

    def note(stage, shop, **how):
        calls.append((stage, shop, how))
        return {"loss": 0.5}

    monkeypatch.setattr(trainer, "train_vignettes", note)
    code, out, _ = synth("train", "vignettes", "--work", "there", "--warm", "--device", "cpu", "--steps", "9")
    assert code == 0 and "vae: loss 0.5" in out
    assert [stage for stage, *_ in calls] == list(STAGES) == [stage for stage in trainer.STAGES if stage != "export"]
    _, shop, how = calls[0]
    assert (str(shop.work), shop.warm, shop.device, how) == ("there", True, "cpu", {"steps": 9})


def test_models_lists_every_preset(synth):
    from synth.presets import PRESETS

    code, out, _ = synth("models")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 1 + len(PRESETS)
    sdxl = next(line for line in lines if line.startswith("sdxl "))
    assert all(word in sdxl for word in ("renderer", "1024 px", "CreativeML Open RAIL++-M", "3.5 B", "no"))


@pytest.mark.parametrize(("stop", "message"), [
    (KeyboardInterrupt(), "synth: interrupted; run the same command again to go on\n"),
    (KeyboardInterrupt("Stopped: 3 of 16 pictures are safe"), "synth: Stopped: 3 of 16 pictures are safe\n"),
])  # fmt: skip
def test_an_interrupt_says_how_to_go_on(stop, message, synth, monkeypatch):
    def interrupted(**_):
        raise stop

    monkeypatch.setattr("synth.studies.study", interrupted)
    assert synth("render", "--prompt", "a cat", "--seeds", "1") == (130, "", message)


def test_a_file_that_cannot_be_written_is_no_traceback(synth, pair):
    for kind in ("csv", "json", "parquet"):
        code, _, err = synth("log", "pair", f"--{kind}", "nowhere/rows")
        assert code == 2 and err.count("\n") == 1
        assert f"{kind}: 'nowhere/rows' cannot be used; give a file that can be written" in err


def test_a_reader_that_leaves_early_causes_no_noise():
    command = [sys.executable, "-m", "synth", "models"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 141


def test_a_terminal_without_the_letters_gets_escapes(synth, tiny_sd):
    synth("render", "--prompt", "ein Häuschen", "--seeds", "1", "--model", tiny_sd, *SMALL)
    command = [sys.executable, "-m", "synth", "study", "list"]
    ended = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60)
    assert ended.returncode == 0 and rb"ein H\xe4uschen" in ended.stdout


@pytest.mark.filterwarnings("always:the renderer never sees")
def test_a_warning_is_a_note_on_one_line(synth, tiny_sd):
    code, _, err = synth("render", "--prompt", "a cat " * 20, "--seeds", "1", "--model", tiny_sd, *SMALL)
    assert code == 0 and "synth: note: the renderer never sees the end of 1 of 1 prompts" in err


def test_tables_keep_each_cell_on_a_line():
    assert table(("a", "n"), [("x\ny", 5), ("z", 12)]) == "a     n\nx y   5\nz    12"
