# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Settings: where they come from, and the words for what is wrong with them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from autoflow.dates.durations import parse_duration
from autoflow.errors import SettingsError
from autoflow.redaction import RedactingFormatter, Redactor
from autoflow.settings.environment import CACHES, job_environment, make_caches
from autoflow.settings.settings import (
    SECRET_NAMES,
    Settings,
    Token,
    check_directories,
    current_secrets,
    current_token,
    load_settings,
    read_secrets,
    read_token,
)

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def a_token(**claims: Any) -> str:
    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    exp = int(dt.datetime(2026, 12, 24, 18, tzinfo=dt.UTC).timestamp())
    return f"{part({'alg': 'RS256'})}.{part({'sub': 'analyst', 'exp': exp, **claims})}.c2lnbmF0dXJl"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "AUTOFLOW_INPUTS_DIR": str(tmp_path),
        "AUTOFLOW_OUTPUTS_DIR": str(tmp_path / "outputs"),
        "FLOWAPI_URL": "https://flowapi.example.org/",
        "FLOWAPI_TOKEN": a_token(),
    }


def load(environment: dict[str, str], tmp_path: Path) -> Settings:
    return load_settings(environment, docker_secrets=tmp_path / "secrets")


def test_the_environment_is_enough(environment: dict[str, str], tmp_path: Path) -> None:
    settings = load(environment, tmp_path)
    assert settings.flowapi_url == "https://flowapi.example.org"
    assert settings.db_path == tmp_path / "outputs" / "autoflow.db"
    assert settings.notebooks_dir == tmp_path / "outputs" / "notebooks"
    assert (settings.log_level, settings.poll_timeout) == ("INFO", 60.0)
    assert (settings.grace, settings.interrupt_grace) == (30.0, 10.0)
    assert settings.ssl_certificate is None
    assert environment["FLOWAPI_TOKEN"] not in repr(settings)


def test_an_edited_config_of_the_predecessors_shape_works(environment: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        'flowapi_url = "${FLOWAPI_URL}"\ndb_uri = "$AUTOFLOW_DB_URI"\n[inputs]\ninputs_dir = "$AUTOFLOW_INPUTS_DIR"\n'
        '[outputs]\nnotebooks_dir = "$AUTOFLOW_OUTPUTS_DIR/executed"\n[logging]\nlevel = "warning"\n'
    )
    settings = load({**environment, "AUTOFLOW_CONFIG": str(config)}, tmp_path)
    assert settings.notebooks_dir == tmp_path / "outputs" / "executed"
    assert settings.log_level == "WARNING"


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load({}, tmp_path)
    for name in ("AUTOFLOW_INPUTS_DIR", "AUTOFLOW_OUTPUTS_DIR", "FLOWAPI_URL"):
        assert f"{name}: not set; expected" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AUTOFLOW_DB_URI", "postgresql://autoflow:geheim@db/autoflow", "scheme 'postgresql', expected sqlite:///"),
        ("AUTOFLOW_DB_URI", "/a/b.db", "no scheme"),
        ("AUTOFLOW_DB_URI", "sqlite://", "names no file"),
        ("AUTOFLOW_DB_URI", "sqlite:///:memory:", "names no file"),
        ("AUTOFLOW_LOG_LEVEL", "LOUD", "expected one of DEBUG, INFO"),
        ("FLOWAPI_URL", "flowapi.example.org", "is not a web address"),
        ("FLOWAPI_URL", "https://me:geheim@flowapi.example.org", "has a user name or a password in it"),
        ("SSL_CERTIFICATE_FILE", "/etc/no-such-file.pem", "is not a readable file"),
        ("SSL_CERTIFICATE_FILE", "/etc", "is not a readable file"),
        ("FLOWAPI_SSL_CERT", "/etc", "is not a readable file"),
        ("SSL_CERTIFICATE_FILE", "/" + "c" * 300, "is not a readable file (File name too long)"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable(
    environment: dict[str, str], tmp_path: Path, name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load({**environment, name: value}, tmp_path)
    assert str(raised.value).startswith(f"{name}: ")
    assert words in str(raised.value)
    assert "geheim" not in str(raised.value)


def test_database_paths_are_relative_or_absolute(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for uri, path in (("sqlite:///a.db", tmp_path / "outputs/a.db"), ("sqlite:////var/a.db", Path("/var/a.db"))):
        assert load({**environment, "AUTOFLOW_DB_URI": uri}, tmp_path).db_path == path
    # as the predecessor has it
    (tmp_path / "a.db").touch()
    assert load({**environment, "AUTOFLOW_DB_URI": "sqlite:///a.db"}, tmp_path).db_path == tmp_path / "a.db"


def test_a_config_that_is_no_toml_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("flowapi_url = \n")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        load({**environment, "AUTOFLOW_CONFIG": str(config)}, tmp_path)
    with pytest.raises(SettingsError, match="cannot be read"):
        load({**environment, "AUTOFLOW_CONFIG": str(tmp_path / "none.toml")}, tmp_path)


def test_a_token_is_looked_for_in_credentials_then_secrets_then_the_environment(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["CREDENTIALS_DIRECTORY"] = str(tmp_path / "credentials")
    settings = load(environment, tmp_path)
    assert read_token(settings, NOW).source == "the environment"
    for directory in ("secrets", "credentials"):
        (tmp_path / directory).mkdir()
        file = tmp_path / directory / "FLOWAPI_TOKEN"
        file.write_text(a_token(sub=directory) + "\n")
        # read anew each time, as a secret may change while the daemon runs
        assert read_token(settings, NOW).source == str(file)
        assert current_token(settings) == a_token(sub=directory)
    assert read_token(settings, NOW).expires == dt.datetime(2026, 12, 24, 18, tzinfo=dt.UTC)
    assert a_token(sub="credentials") not in repr(read_token(settings, NOW))


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "not found; set the environment variable"),
        ("   ", "not found"),
        ("not-a-token-at-all", "cannot be decoded"),
        ("aaaa.bbbb.cccc", "cannot be decoded"),
        (a_token(sub=None), "names no user"),
        (
            a_token(exp=1479859200),
            "expired at 2016-11-23 00:00 UTC; press Renew in FlowAuth, or create a new one there with the same roles",
        ),
        (a_token(nbf=1893456000), "is not valid before 2030-01-01 00:00 UTC"),
    ],
)
def test_a_token_that_will_not_do_is_told_without_showing_it(
    environment: dict[str, str], tmp_path: Path, token: str, words: str
) -> None:
    settings = load({**environment, "FLOWAPI_TOKEN": token}, tmp_path)
    with pytest.raises(SettingsError) as raised:
        read_token(settings, NOW)
    assert words in str(raised.value)
    assert not token.strip() or token not in str(raised.value)


def test_addresses_of_messages_are_secrets_in_files_or_the_environment(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "AUTOFLOW_SMTP_URL").write_text("smtp://me:geheim%40wort@mail.example.org\n")
    environment["AUTOFLOW_SMTP_URL"] = "smtp://elsewhere.example.org"
    environment["AUTOFLOW_WEBHOOK_URL"] = "https://hooks.example.org/services/geheim-T0"
    settings = load(environment, tmp_path)
    assert settings.message_secrets == {
        "AUTOFLOW_SMTP_URL": "smtp://me:geheim%40wort@mail.example.org",
        "AUTOFLOW_WEBHOOK_URL": "https://hooks.example.org/services/geheim-T0",
    }
    assert "geheim" not in repr(settings)
    redactor = Redactor.of(*current_secrets(settings))
    for text in ("login with geheim@wort", "geheim%40wort", "POST /services/geheim-T0", settings.webhook_url or ""):
        assert "geheim" not in redactor.redact(text)
    assert job_environment(environment, settings).keys().isdisjoint(SECRET_NAMES)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AUTOFLOW_SMTP_URL", "mail.example.org:geheim", "is not the address of a mail server"),
        ("AUTOFLOW_SMTP_URL", "smtp://me:geheim/wort@mail.example.org", "is not the address of a mail server"),
        ("AUTOFLOW_WEBHOOK_URL", "hooks.example.org/geheim", "is not a web address"),
        ("AUTOFLOW_HEARTBEAT_URL", "ftp://hooks.example.org/geheim", "is not a web address"),
        ("AUTOFLOW_HEARTBEAT_URL", "https://hooks.example.org/a geheim", "is not a web address"),
    ],
)
def test_a_wrong_address_of_messages_is_told_without_showing_it(
    environment: dict[str, str], tmp_path: Path, name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load({**environment, name: value}, tmp_path)
    assert str(raised.value).startswith(f"{name}: {words}")
    assert "geheim" not in str(raised.value)


def test_a_token_may_have_no_end(environment: dict[str, str], tmp_path: Path) -> None:
    settings = load({**environment, "FLOWAPI_TOKEN": a_token(exp=None)}, tmp_path)
    assert read_token(settings, NOW).expires is None


def test_directories_of_outputs_are_made(environment: dict[str, str], tmp_path: Path) -> None:
    check_directories(load(environment, tmp_path))
    assert (tmp_path / "outputs" / "reports").is_dir()
    assert list((tmp_path / "outputs" / "notebooks").iterdir()) == []


def test_outputs_that_can_not_be_written_are_told(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        check_directories(load({**environment, "AUTOFLOW_OUTPUTS_DIR": str(tmp_path / "file" / "x")}, tmp_path))
    with pytest.raises(SettingsError, match="is not a directory; it must hold"):
        check_directories(load({**environment, "AUTOFLOW_INPUTS_DIR": str(tmp_path / "none")}, tmp_path))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), ("0.5h", 1800)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "h", "5 minutes", "-3s", "0s", "1e9s", "3s!"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


def test_secrets_leave_text_and_json_and_logs() -> None:
    redactor = Redactor.of("s3cret/value", None, "short", "")
    assert redactor.redact("a s3cret/value, s3cret%2Fvalue, short") == "a [redacted], [redacted], short"
    assert redactor.redact_json({"s3cret/value": ["s3cret/value", 1, None]}) == {"[redacted]": ["[redacted]", 1, None]}
    assert "s3cret" not in repr(redactor)
    try:
        raise ValueError("s3cret/value")
    except ValueError as error:
        record = logging.LogRecord(
            "x", 40, "", 0, "said %s", ("s3cret/value",), (ValueError, error, error.__traceback__)
        )
    formatted = RedactingFormatter(logging.Formatter("%(message)s"), lambda: redactor).format(record)
    assert "said [redacted]" in formatted
    assert "ValueError: [redacted]" in formatted
    assert "s3cret" not in formatted


def test_libraries_keep_their_files_with_the_outputs_where_there_is_no_home(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = load({**environment, "HOME": "/nonexistent"}, tmp_path)
    passed = job_environment({"HOME": "/nonexistent", "IPYTHONDIR": str(tmp_path / "of my own")}, settings)
    assert not list(settings.work_dir.glob("caches/*"))
    make_caches(passed, settings)
    assert passed["IPYTHONDIR"] == str(tmp_path / "of my own")
    made = [Path(passed[name]) for name in CACHES if name != "IPYTHONDIR"]
    assert all(directory.is_dir() for directory in made)
    assert sorted(made) == sorted(settings.work_dir.glob("caches/*"))
    at_home = job_environment({"HOME": str(tmp_path)}, settings)
    assert at_home.keys().isdisjoint(CACHES)
    make_caches(at_home, settings)


def test_a_token_that_has_expired_says_how_it_is_renewed_where_it_is(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "FLOWAPI_TOKEN"
    file.write_text(a_token(exp=1479859200))
    with pytest.raises(SettingsError, match=r"and put it into .*, which AutoFlow reads anew at each tick"):
        read_token(load(environment, tmp_path), NOW)
    assert "restart the unit" in Token("", "/run/credentials/autoflow.service/FLOWAPI_TOKEN", None).renewal


def test_plots_of_notebooks_do_not_depend_on_the_environment(environment: dict[str, str], tmp_path: Path) -> None:
    settings = load(environment, tmp_path)
    passed = job_environment({"HOME": str(tmp_path), "MPLBACKEND": "Agg", "OTHER": "kept"}, settings)
    assert passed == {"HOME": str(tmp_path), "OTHER": "kept"}


def test_the_certificate_has_two_names_and_notebooks_find_it_under_both(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one.pem", "other.pem"):
        (tmp_path / name).touch()
    one, other = str(tmp_path / "one.pem"), str(tmp_path / "other.pem")
    for given, passed in (
        ({"FLOWAPI_SSL_CERT": "one.pem"}, [one, one]),
        ({"SSL_CERTIFICATE_FILE": "one.pem"}, [one, one]),
        ({"SSL_CERTIFICATE_FILE": one, "FLOWAPI_SSL_CERT": other}, [one, other]),
    ):
        settings = load({**environment, **given}, tmp_path)
        assert str(settings.ssl_certificate) == one
        children = job_environment({**environment, **given}, settings)
        assert [children["SSL_CERTIFICATE_FILE"], children["FLOWAPI_SSL_CERT"]] == passed


def test_secrets_of_notebooks_are_read_anew_where_the_token_is(environment: dict[str, str], tmp_path: Path) -> None:
    settings = load({**environment, "ADMIN_SECRET": "of the environment"}, tmp_path)
    assert read_secrets(settings, ["ADMIN_SECRET"]) == {"ADMIN_SECRET": "of the environment"}
    (tmp_path / "secrets").mkdir(exist_ok=True)
    (tmp_path / "secrets" / "ADMIN_SECRET").write_text("of the file\n")
    assert read_secrets(settings, ["ADMIN_SECRET"]) == {"ADMIN_SECRET": "of the file"}
    with pytest.raises(SettingsError, match="secret UPDATER_SECRET: not found; put it into one of "):
        read_secrets(settings, ["ADMIN_SECRET", "UPDATER_SECRET"])
    (tmp_path / "secrets" / "ADMIN_SECRET").write_text("s3cret")
    with pytest.raises(SettingsError, match="too short to be kept out of notebooks and logs") as raised:
        read_secrets(settings, ["ADMIN_SECRET"])
    assert "s3cret" not in str(raised.value)
    assert "of the environment" not in repr(settings)


@pytest.mark.parametrize("secret", ['p@ss"12345', "a\\b'c-123456", "pässwörd-1234", "plain-secret"])
def test_a_secret_is_taken_out_in_the_forms_that_programs_write(secret: str) -> None:
    redactor = Redactor.of(secret)
    for text in (
        secret,
        json.dumps([secret]),
        json.dumps(secret, ensure_ascii=False),
        repr([secret]),
        repr(secret.encode()),
    ):
        shown = redactor.redact(f"before {text} after")
        assert "[redacted]" in shown
        assert "123456" not in shown
        assert "1234" not in shown
        assert "plain" not in shown


def test_a_line_of_a_key_is_taken_out_too() -> None:
    key = "-----BEGIN KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n0vcNLIhuE9hs2VSd1PjZ\n-----END KEY-----\n"
    redactor = Redactor.of(key)
    assert (
        redactor.redact("bad line 0vcNLIhuE9hs2VSd1PjZ of -----BEGIN KEY-----")
        == "bad line [redacted] of -----BEGIN KEY-----"
    )
    assert redactor.redact(key.strip()) == "[redacted]"


def test_a_deployment_has_a_name_where_it_is_given_one(environment: dict[str, str], tmp_path: Path) -> None:
    assert load(environment, tmp_path).name == ""
    assert (
        load({**environment, "AUTOFLOW_NAME": "  Ghana   \N{EM DASH} تجربة "}, tmp_path).name
        == "Ghana \N{EM DASH} تجربة"
    )
    for name in ("x" * 61, "\N{RIGHT-TO-LEFT OVERRIDE}x", "two\nlines"):
        with pytest.raises(SettingsError, match="AUTOFLOW_NAME"):
            load({**environment, "AUTOFLOW_NAME": name}, tmp_path)
