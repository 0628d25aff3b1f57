# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow check`` tells everything that is wrong at once, wherever it is."""

from __future__ import annotations

from collections.abc import Callable

from tests.answers import answer_of
from tests.conftest import Deployment, Outcome

Typed = Callable[..., Outcome]


def test_mistakes_of_the_settings_hide_no_others(deployment: Deployment, typed: Typed) -> None:
    deployment.write("workflows:\n  - nam: w\n    notebooks: {}\n")
    deployment.environment |= {"AUTOFLOW_LOG_LEVEL": "loud", "FLOWAPI_URL": "https://flowapi.example.org/api/0"}
    outcome = typed("check")
    assert outcome.code == 2
    for words in (
        "settings: AUTOFLOW_LOG_LEVEL: found 'loud'",
        "settings: FLOWAPI_URL: ends in /api/0",
        "workflows[0].nam: unknown key; did you mean 'name'?",
        "missing; this key is needed",
    ):
        assert words in outcome.answer
    assert not deployment.outputs.exists()


def test_a_bad_token_is_told_beside_a_bad_file(deployment: Deployment, typed: Typed) -> None:
    deployment.write("workflows: []\nnothing: here\n")
    deployment.environment["FLOWAPI_TOKEN"] = "no token"
    found = answer_of(typed("check", "--json").answer, code=2)["problems"]
    assert {each["file"] for each in found} == {"settings", str(deployment.inputs / "workflows.yml")}


def test_what_may_pass_by_itself_alone_is_worth_trying_again(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("glues")
    missing = deployment.inputs.parent / "not mounted" / "certificate.pem"
    deployment.environment["SSL_CERTIFICATE_FILE"] = str(missing)
    assert typed("check").code == 75
    (deployment.inputs / "glues.ipynb").unlink()
    assert typed("check").code == 2


def test_where_the_inputs_are_not_known_the_settings_are_told(deployment: Deployment, typed: Typed) -> None:
    deployment.environment["AUTOFLOW_INPUTS_DIR"] = ""
    found = answer_of(typed("check", "--json").answer, code=2)
    assert (found["file"], [each["file"] for each in found["problems"]]) == ("", ["settings"])
    deployment.environment["AUTOFLOW_CONFIG"] = str(deployment.inputs / "gone.toml")
    assert "cannot be read" in typed("check").answer
