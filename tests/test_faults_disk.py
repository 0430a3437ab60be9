"""Disks that fail while a study, or a service, writes: it is told, and nothing is lost, doubled or rendered again.

Some of the changes fail here; `tests/bench/disk_faults.py` lets each of them fail.
"""

import json
from pathlib import Path

import pytest
from bench.disk_faults import BAD
from faulty_disk import has_compiler, run_on_it

BENCH = Path(__file__).with_name("bench") / "disk_faults.py"


@pytest.mark.skipif(not has_compiler(), reason="a disk that fails needs Linux and a C compiler")
def test_a_disk_that_fails_costs_nothing_but_time(tmp_path):
    ran = run_on_it(tmp_path, str(BENCH), "--every", "36", capture_output=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    for counts in found.values():
        assert counts["faults"] >= 6 and counts["told"] > 0
        assert {name: counts[name] for name in BAD} == dict.fromkeys(BAD, 0), ran.stdout[-3000:]
    assert found.keys() == {"study", "service"}
