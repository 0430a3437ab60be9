"""The command: one line for what was done, one line for what is wrong."""

import pytest
from PIL import Image

from synth.cli import edit
from synth.cli.parsing import Parser, UsageError
from synth.edit.provenance import read
from synth.errors import InputError, StudyError
from synth.jobs import Settings
from synth.studies import Study, study

FAST = ("--size", "64", "--steps", "2", "--seeds", "1")


def run(*words) -> int:
    parser = Parser(prog="synth")
    edit.register(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["edit", *map(str, words)])
    return arguments.run(arguments)


def test_drawing_over_a_picture_says_where_to_look(photo, tiny_sd, capsys):
    assert run("paint", photo, "a cat", "a dog", "--model", tiny_sd, "--strength", "0.5", *FAST) == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith("2 pictures. Look at generated_images/")
    with Image.open(said.partition("Look at ")[2]) as figure:
        assert figure.width > 300


def test_two_wordings_say_where_to_look(tiny_sd, capsys):
    assert run("compare", "a red cat", "a blue cat", "--model", tiny_sd, *FAST) == 0
    assert capsys.readouterr().out.strip().endswith("wordings.html")


def test_pictures_and_studies_are_enlarged_and_replayed(photo, tiny_sd, tiny_swin, capsys):
    made = study(
        prompts=["a cat"],
        seeds=2,
        model=str(tiny_sd),
        settings=Settings(width=64, height=64, steps=2),
        name="cats",
        progress=False,
    )
    assert run("upscale", photo, "cats", "--model", tiny_swin, "--scale", "4", "--beside") == 0
    assert capsys.readouterr().out.startswith("3 pictures. Look at ")
    assert (photo.parent / "edited" / "photo-x4-beside.png").is_file()
    large = sorted((made.folder / "edited").glob("*-x4.png"))
    assert [Image.open(path).size for path in large] == [(256, 256)] * 2
    assert {read(path).job for path in large} == set(made.jobs)
    assert run("replay", photo.parent / "edited" / "photo-x4.png", photo) == 0
    assert capsys.readouterr().out.strip().endswith(": equal")


def test_a_study_whose_name_has_a_dot_is_a_study(tiny_sd, capsys):
    made = study(prompts=["a cat"], seeds=1, model=str(tiny_sd), settings=Settings(width=64, height=64, steps=1),
                 name="cats.v2", progress=False)  # fmt: skip
    assert run("post", "cats.v2", "--postprocess", "sharpen=1") == 0
    assert len(list((made.folder / "edited").glob("*-retouched.png"))) == 1


def test_the_size_follows_the_picture_and_other_settings_stay(photo, tiny_sd):
    assert run("paint", photo, "a cat", "--model", tiny_sd, "--steps", "2", "--seeds", "1", "--name", "wide") == 0
    settings = Study.open("wide").jobs[0].settings
    assert settings.width > settings.height and settings.steps == 2


def test_retouching_writes_where_it_is_told(photo, tmp_path, capsys):
    assert run("post", photo, "--postprocess", "sharpen=0.5", "--out", tmp_path / "out") == 0
    path = tmp_path / "out" / "photo-retouched.png"
    assert capsys.readouterr().out.strip() == f"1 picture. Look at {path}"
    assert read(path).steps[0].postprocess == "sharpen=0.5"


@pytest.mark.parametrize(("words", "kind", "message"), [
    (("upscale", "none.png"), InputError, "picture: 'none.png' cannot be used"),
    (("upscale", "none"), StudyError, "'none' is no study"),
    (("upscale", "none.png", "--scale", "3"), InputError, "scale: 3 cannot be used; use 2 or 4"),
    (("upscale", "none.png", "--scale", "two"), InputError, "scale: 'two' cannot be used; use 2 or 4"),
    (("upscale", "none.png", "--model", "sd2"), InputError, "model: 'sd2' cannot be used; it is no upscaler"),
    (("post", "none.png", "--postprocess", "blur=1"), InputError, "postprocess: 'blur=1' cannot be used"),
    (("post", "none.png"), UsageError, "--postprocess"),
    (("paint", "none.png", "a cat"), InputError, "source: 'none.png' cannot be used"),
    (("compare", "a cat"), UsageError, "PROMPT"),
    (("replay", "none.png", "none.png"), InputError, "picture: 'none.png' cannot be used"),
])  # fmt: skip
def test_bad_input_is_one_clear_error(words, kind, message):
    with pytest.raises(kind) as caught:
        run(*words)
    assert message in str(caught.value)


def test_the_help_needs_no_torch(capsys):
    with pytest.raises(SystemExit):
        run("upscale", "--help")
    assert "swin2sr-x2" in capsys.readouterr().out
