"""The showcase draws every value of every attribute once, all else being equal."""

from synth.jobs import Settings
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.captions import parse
from synth.vignettes.showcase import BASE, attribute_sheet, variations


def test_one_attribute_changes_at_a_time():
    for name, items in variations(seed=5).items():
        assert [getattr(item.scene, name) for item in items] == list(ATTRIBUTES[name])
        assert {item.seed for item in items} == {5}
        for item in items:
            changed = {key for key, value in item.scene.as_dict().items() if value != getattr(BASE, key)}
            assert changed <= {name}
            assert parse(item.caption).values == {key: (value,) for key, value in item.scene.as_dict().items()}


def test_the_sheet_has_a_band_for_each_attribute(tiny_sd):
    sheet = attribute_sheet(str(tiny_sd), Settings(steps=1, width=64, height=64))
    rows = sum(-(-len(values) // 8) for values in ATTRIBUTES.values())
    assert sheet.width == 8 * (64 + 8) + 8
    assert sheet.height > rows * 64 + len(ATTRIBUTES) * 30
    assert len(sheet.getcolors(1 << 24)) > 100, "pictures, not blanks"
