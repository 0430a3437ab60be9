"""Hostile phrases in every page that Synth writes: shown as they were typed, and nothing of them is live.

`tests/bench/service_faults.py` asks a server for 500 of them, and has the same pages made of all.
"""

from hostile import OWN, PHRASES, is_accepted, live_tags, pages_of
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

QUIETLY = {"deadline": None, "database": None, "phases": [Phase.generate], "suppress_health_check": list(HealthCheck)}


@profile(max_examples=3, **QUIETLY)
@given(phrases=st.lists(PHRASES.filter(is_accepted), min_size=20, max_size=20, unique_by=str.strip))
def test_no_page_has_a_live_tag_of_a_phrase(tmp_path_factory, phrases):
    folder = tmp_path_factory.mktemp("pages")
    found = pages_of([phrase.strip() for phrase in phrases], folder)
    assert found.keys() == {"votes", "index", "report", "slides", "compare", "tree"}
    for name, page in found.items():
        assert live_tags(page, OWN.get(name, 0)) == [], name
        assert "hostile" in page  # it is shown, as text
    assert not [path for path in folder.rglob("*") if "hostile" in path.name]


def test_the_search_finds_what_is_live():
    for page in (
        "<b hostile>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=x>",
        '<a href="javascript:x">',
        "<script>",
    ):
        assert live_tags(f"<p>{page}</p>") != []
    assert live_tags("<p>&lt;b hostile&gt;</p><img src='data:x'><a href='a/b.html'>x</a>") == []
