"""The OpenAPI document, and what the server answers to all that it allows and more."""

from contextlib import suppress

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from synth.jobs import SCHEDULERS

EXAMPLES = 10  # of each operation, allowed ones and others


@pytest.mark.parametrize("mode", GenerationMode)
def test_nothing_that_may_be_asked_is_a_server_error(server, mode):
    operations = [
        found.ok() for found in schemathesis.openapi.from_url(f"{server.url}/openapi.json").get_all_operations()
    ]
    assert len(operations) == 19
    asked = 0
    for operation in operations:

        @profile(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case):
            nonlocal asked
            asked += 1
            answer = case.call(timeout=30)
            case.validate_response(answer, checks=[not_a_server_error])
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"], answer.text

        with suppress(Unsatisfiable):  # of an operation without parameters nothing can be wrong
            answers()
    assert asked > 10 * EXAMPLES


def test_the_document_tells_types_bounds_and_examples(server):
    document = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()
    kinds = document["components"]["schemas"]
    steps = kinds["SettingsChanges"]["properties"]["steps"]
    assert (steps["minimum"], steps["maximum"]) == (1, 1000)
    assert "default" not in steps and "as the speed advises" in steps["description"]
    assert set(SCHEDULERS) < set(kinds["SettingsChanges"]["properties"]["scheduler"]["enum"])
    assert {"Settings", "Job", "Prompt", "ModelRef", "State", "Problem"} <= kinds.keys()
    assert kinds["StudyAsk"]["properties"]["phrase"]["examples"] == ["a red lighthouse at sunset"]
    assert {"/v1/expand", "/v1/studies", "/v1/render", "/v1/studies/{study}/events"} <= document["paths"].keys()
    for path, methods in document["paths"].items():
        for method in methods.values():
            assert method.get("description"), path
            assert path.endswith("z") or "security" in method, path
