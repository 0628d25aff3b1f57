# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""config/config.toml and the environment, read into one frozen `Settings`; and FlowAPI's token."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from autoflow.bounded_file import LARGEST_CONFIG, LARGEST_SECRET, read_bounded
from autoflow.claims import claims_of, roles_text
from autoflow.dates import LONGEST_DAYS, parse_duration
from autoflow.errors import ExitCode, SettingsError, TokenError, is_not_mounted, may_pass
from autoflow.redaction import SHORTEST_SECRET
from autoflow.resources import config_file
from autoflow.settings.address import Address, parse_address
from autoflow.settings.places import Places
from autoflow.settings.workers import (
    LEASE,
    LONGEST_LEASE,
    SHORTEST_LEASE,
    Workers,
    parse_certificates,
    parse_fallback,
    parse_workers_address,
)
from autoflow.wording import shortened, shown

T = TypeVar("T")

LONGEST_NAME = 60
"""Characters that the name of a deployment may have."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
ENVIRONMENT = "the environment"
SYSTEMD_CREDENTIALS = Path("/run/credentials")
DOCKER_SECRETS = Path("/run/secrets")
TOKEN_NAME = "FLOWAPI_TOKEN"  # noqa: S105  # the name, not the token
CERTIFICATE_NAMES = ("SSL_CERTIFICATE_FILE", "FLOWAPI_SSL_CERT")
"""Environment variables that name a certificate to check FlowAPI's against; the first goes before the second."""

SECRET_NAMES = (
    TOKEN_NAME,
    "AUTOFLOW_SMTP_URL",
    "AUTOFLOW_WEBHOOK_URL",
    "AUTOFLOW_HEARTBEAT_URL",
    "AUTOFLOW_APPRISE_URLS",
)
"""Environment variables that no job sees unless it needs them; each may be a file of that name instead."""


@dataclass(frozen=True)
class Settings:
    """Where things are, and how long they may take; durations in seconds."""

    inputs_dir: Path
    notebooks_dir: Path
    reports_dir: Path
    outputs_dir: Path
    db_path: Path
    flowapi_url: str
    ssl_certificate: Path | None
    asciidoc_template: Path | None
    log_level: str
    poll_timeout: float
    grace: float
    interrupt_grace: float
    token_warning_days: tuple[int, ...]
    token_files: tuple[Path, ...]
    """Where the token is looked for before the environment."""
    token_from_environment: str | None = field(repr=False)
    secret_directories: tuple[Path, ...] = ()
    """Where secrets of notebooks are looked for, each in a file of its name, before the environment."""
    environment: Mapping[str, str] = field(repr=False, default_factory=dict)
    """All environment variables, for secrets of notebooks."""
    smtp_url: str | None = field(repr=False, default=None)
    """This and what follows is where messages go; each may hold a password."""
    webhook_url: str | None = field(repr=False, default=None)
    heartbeat_url: str | None = field(repr=False, default=None)
    apprise_urls: str | None = field(repr=False, default=None)

    @property
    def message_secrets(self) -> dict[str, str]:
        """Where messages go, by environment variable; only what is set."""
        values = self.smtp_url, self.webhook_url, self.heartbeat_url, self.apprise_urls
        return {name: value for name, value in zip(SECRET_NAMES[1:], values, strict=True) if value}

    http: Address | None = None
    """Where the page is served; None: not served."""
    name: str = ""
    """What people call this deployment; may be empty."""
    workers: Workers | None = None
    """Where notebooks run; None: on this machine."""

    @property
    def workflows_file(self) -> Path:
        return self.inputs_dir / "workflows.yml"

    @property
    def places(self) -> Places:
        """Where what the record names is."""
        return Places(self.outputs_dir, self.notebooks_dir, self.reports_dir)

    @property
    def work_dir(self) -> Path:
        """Where outputs grow until they are complete."""
        return self.outputs_dir / ".autoflow"

    @property
    def control_socket(self) -> Path:
        """Where a running daemon can be asked how it is."""
        return self.work_dir / f"{self.instance}.sock"

    @property
    def instance(self) -> str:
        """Name of this installation: the same after a restart, and another for each database."""
        return hashlib.sha256(str(self.db_path.resolve()).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Token:
    """FlowAPI's token, as it was found and as far as it can be read without its key."""

    value: str = field(repr=False)
    source: str
    expires: dt.datetime | None

    @property
    def renewal(self) -> str:
        """How to renew it, in words."""
        return _renewal(self.source, self.value)


def load_settings(
    environment: Mapping[str, str],
    path: Path | None = None,
    docker_secrets: Path = DOCKER_SECRETS,
    *,
    asks_flowapi: bool = True,
) -> Settings:
    """Read the settings; long, since each has its line.

    Parameters
    ----------
    environment
        Environment variables; those that config.toml names, and those of the token.
    path
        The TOML file; by default ``AUTOFLOW_CONFIG``, else the one that comes with AutoFlow.
    docker_secrets
        Directory of Docker secrets.
    asks_flowapi
        Whether FLOWAPI_URL is needed; without it, what only reads the record can do.

    Raises
    ------
    SettingsError
        With a line for each mistake.
    """
    path = path or Path(environment.get("AUTOFLOW_CONFIG") or config_file("config.toml"))
    reader = _Reader(path, _read_toml(path), environment)
    outputs = reader.path("outputs.outputs_dir", "AUTOFLOW_OUTPUTS_DIR", "a directory for what AutoFlow makes")
    inputs = reader.path("inputs.inputs_dir", "AUTOFLOW_INPUTS_DIR", "the directory of workflows.yml and its notebooks")
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    secret_directories = (*((Path(credentials),) if credentials else ()), docker_secrets)
    settings = Settings(
        inputs_dir=inputs,
        outputs_dir=outputs,
        notebooks_dir=Path(reader.text("outputs.notebooks_dir") or outputs / "notebooks").absolute(),
        reports_dir=Path(reader.text("outputs.reports_dir") or outputs / "reports").absolute(),
        db_path=_placed(reader.read("db_uri", _database_path) or Path("autoflow.db"), outputs),
        flowapi_url=reader.required("flowapi_url", "FLOWAPI_URL", "such as https://flowapi.example.org", _url)
        if asks_flowapi
        else "",
        ssl_certificate=reader.read("ssl_certificate", _file) or reader.variable(CERTIFICATE_NAMES[1], _file),
        asciidoc_template=reader.read("asciidoc_template_path", _file),
        log_level=reader.read("logging.level", _log_level) or "INFO",
        poll_timeout=reader.read("daemon.poll_timeout", parse_duration) or 60.0,
        grace=reader.read("daemon.grace", parse_duration) or 30.0,
        interrupt_grace=reader.read("daemon.interrupt_grace", parse_duration) or 10.0,
        token_warning_days=reader.days("daemon.token_warning_days", (14, 7, 3, 1)),
        token_files=tuple(directory / TOKEN_NAME for directory in secret_directories),
        token_from_environment=environment.get(TOKEN_NAME),
        secret_directories=secret_directories,
        environment=dict(environment),
        smtp_url=reader.secret("messages.smtp_url", "AUTOFLOW_SMTP_URL", secret_directories, _smtp_url),
        webhook_url=reader.secret("messages.webhook_url", "AUTOFLOW_WEBHOOK_URL", secret_directories, _hook),
        heartbeat_url=reader.secret("messages.heartbeat_url", "AUTOFLOW_HEARTBEAT_URL", secret_directories, _hook),
        apprise_urls=reader.secret("messages.apprise_urls", "AUTOFLOW_APPRISE_URLS", secret_directories, _apprise),
        http=reader.read("daemon.http", parse_address),
        name=reader.read("name", _name) or reader.variable("AUTOFLOW_NAME", _name) or "",
        workers=_workers(reader),
    )
    reader.raise_mistakes()
    return settings


def inputs_named(environment: Mapping[str, str]) -> Path | None:
    """Return the directory of workflows.yml, whatever is wrong with other settings; None where it is not known."""
    try:
        path = Path(environment.get("AUTOFLOW_CONFIG") or config_file("config.toml"))
        named = _Reader(path, _read_toml(path), environment).text("inputs.inputs_dir")
    except SettingsError:
        return None
    return Path(named).absolute() if named else None


def check_directories(settings: Settings) -> None:
    """Check that the inputs can be read, make the directories of outputs, and see that they can be written.

    Nothing is made when the inputs cannot be read.

    Raises
    ------
    SettingsError
        Naming the directory and what is wrong with it.
    """
    if not settings.inputs_dir.is_dir():
        raise SettingsError(
            f"AUTOFLOW_INPUTS_DIR: {settings.inputs_dir} is not a directory; it must hold workflows.yml",
            passing=is_not_mounted(settings.inputs_dir),
        )
    if not os.access(settings.inputs_dir, os.R_OK | os.X_OK):
        raise SettingsError(
            f"AUTOFLOW_INPUTS_DIR: {settings.inputs_dir} cannot be read; it must be readable for user id {os.getuid()}"
        )
    for directory in (settings.outputs_dir, settings.notebooks_dir, settings.reports_dir, settings.work_dir):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            probe = directory / f".autoflow-write-test-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise SettingsError(
                f"AUTOFLOW_OUTPUTS_DIR: {directory} cannot be written ({error.strerror});"
                f" it must be writable for user id {os.getuid()}",
                passing=may_pass(error),
            ) from error


def current_secrets(settings: Settings) -> Iterator[str | None]:
    """Yield all that no log may show: the token as it is now, and what the addresses of messages hold."""
    yield current_token(settings)
    for value in settings.message_secrets.values():
        for address in (value, *value.split()):
            yield address
            with suppress(ValueError):
                parts = urlsplit(address)
                yield from (parts.password, unquote(parts.password or ""))
                if parts.scheme in ("http", "https"):
                    yield from (parts.path, parts.path.lstrip("/"), parts.query)


def current_token(settings: Settings) -> str | None:
    """Read the token as it is now, without looking into it; None when there is none that can be read."""
    try:
        found = _find_token(settings)
    except SettingsError:
        # this is asked for each line of the log, which has to go on; `read_token` tells
        return None
    return found[0] if found else None


def read_token(settings: Settings, now: dt.datetime) -> Token:
    """Read the token as it is now, and see that FlowAPI could take it.

    The claims are read without verifying them: FlowAPI's public key is not at hand.

    Raises
    ------
    TokenError
        When there is none, or it cannot be decoded, names no user, is not valid yet or no more.
    """
    found = _find_token(settings)
    if found is None:
        places = ", ".join(str(path) for path in settings.token_files)
        raise TokenError(
            f"{TOKEN_NAME}: not found; set the environment variable, or put the token that FlowAuth gives"
            f" into one of {places}",
            passing=True,
        )
    value, source = found
    where = f"{TOKEN_NAME} (from {source})"
    claims = claims_of(value)
    if claims is None:
        raise TokenError(f"{where}: cannot be decoded as a token; copy all of it from FlowAuth")
    if not claims.get("sub"):
        raise TokenError(f"{where}: names no user (no 'sub' in it); create a new one in FlowAuth")
    starts, expires = _moment(claims.get("nbf")), _moment(claims.get("exp"))
    if expires is not None and expires <= now:
        raise TokenError(f"{where}: expired at {expires:%Y-%m-%d %H:%M} UTC; {_renewal(source, value)}", passing=True)
    if starts is not None and starts > now:
        message = f"{where}: is not valid before {starts:%Y-%m-%d %H:%M} UTC; is the clock right?"
        raise TokenError(message, passing=True)
    return Token(value, source, expires)


def read_secrets(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Read secrets of notebooks as they are now.

    Raises
    ------
    SettingsError
        When one is not there, or too short to be kept out of what notebooks show.
    """
    found = {}
    for name in names:
        files = tuple(directory / name for directory in settings.secret_directories)
        value, source = _read_secret(files, name) or (settings.environment.get(name, "").strip(), ENVIRONMENT)
        if not value:
            places = ", ".join(map(str, files))
            raise SettingsError(
                f"secret {name}: not found; put it into one of {places}, or set the environment variable and restart"
            )
        if sum(" " < letter <= "~" for letter in value) < SHORTEST_SECRET:
            raise SettingsError(
                f"secret {name} (from {source}): too short to be kept out of notebooks and logs;"
                f" expected at least {SHORTEST_SECRET} letters, digits or signs"
            )
        found[name] = value
    return found


def token_expiry(settings: Settings) -> dt.datetime | None:
    """Read when the token ends or has ended; None when there is none that says so."""
    value = current_token(settings)
    return _moment((claims_of(value) or {}).get("exp")) if value else None


def _find_token(settings: Settings) -> tuple[str, str] | None:
    try:
        found = _read_secret(settings.token_files, TOKEN_NAME)
    except SettingsError as error:
        raise TokenError(str(error), passing=error.exit_code is ExitCode.TRY_AGAIN) from error
    value = (settings.token_from_environment or "").strip()
    return found or ((value, ENVIRONMENT) if value else None)


def _renewal(source: str, token: str) -> str:
    how = f"press Renew in FlowAuth, or create a new one there with the same roles{roles_text(token)}"
    if source == ENVIRONMENT:
        return f"{how}, set {TOKEN_NAME} and restart AutoFlow, which reads its environment once"
    if source.startswith(str(SYSTEMD_CREDENTIALS)):
        return f"{how}, put it where LoadCredential= of the unit points, and restart the unit"
    return f"{how}, and put it into {source}, which AutoFlow reads anew at each tick"


def _read_secret(files: Iterable[Path], name: str) -> tuple[str, str] | None:
    """Read the first of some files that has something in it, and say which that was."""
    for path in files:
        try:
            value = read_bounded(path, LARGEST_SECRET).decode("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            passing = isinstance(error, OSError) and may_pass(error)
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SettingsError(f"{name}: {path} cannot be read ({why})", passing=passing) from error
        if value:
            return value, str(path)
    return None


def _moment(timestamp: Any) -> dt.datetime | None:
    if not isinstance(timestamp, (int, float)) or isinstance(timestamp, bool):
        return None
    try:
        return dt.datetime.fromtimestamp(timestamp, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bounded(path, LARGEST_CONFIG).decode("utf-8"))
    except OSError as error:
        passing = may_pass(error) or (isinstance(error, FileNotFoundError) and is_not_mounted(path.parent))
        message = f"{path}: cannot be read ({error.strerror}); AUTOFLOW_CONFIG names it"
        raise SettingsError(message, passing=passing) from error
    except ValueError as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from error
    except RecursionError:
        raise SettingsError(f"{path}: is not valid TOML: it is nested too deeply") from None


class _NotThereYetError(ValueError):
    """A file is missing, and so is all that should be beside it."""


class _Reader:
    """Reads values by their dotted key, and collects what is wrong with them."""

    def __init__(self, path: Path, content: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._path = path
        self._content = content
        self._environment = environment
        self._mistakes: list[str] = []
        self._passing = True

    def raise_mistakes(self) -> None:
        if self._mistakes:
            raise SettingsError("\n".join(self._mistakes), passing=self._passing)

    def _note(self, mistake: str, *, passing: bool = False) -> None:
        self._mistakes.append(mistake)
        self._passing = self._passing and passing

    def text(self, key: str) -> str | None:
        """Return a value with the variables that it names; None when it, or one of them, is not set or empty."""
        value = self._found(key)
        if value is None:
            return None
        try:
            value = str(value)
        except ValueError:
            self._note(f"{self._path}: {key}: found a number with too many digits")
            return None
        names = re.findall(r"\$(?:(\w+)|\{(\w+)\})", value)
        if any(not self._environment.get(plain or braced) for plain, braced in names):
            return None
        text = re.sub(
            r"\$(?:(\w+)|\{(\w+)\})", lambda match: self._environment[match.group(1) or match.group(2)], value
        )
        if not _is_text(text):
            # it would be in the record, in notebooks and on pages, which all are UTF-8
            self._note(f"{self._named(key)}: is not UTF-8, or has a control character in it")
            return None
        return text or None

    def read(self, key: str, convert: Callable[[str], T]) -> T | None:
        text = self.text(key)
        if text is None:
            return None
        try:
            return convert(text)
        except ValueError as error:
            self._note(f"{self._named(key)}: {error}", passing=isinstance(error, _NotThereYetError))
            return None

    def secret(self, key: str, variable: str, directories: Iterable[Path], convert: Callable[[str], str]) -> str | None:
        """Return a value from a file of the variable's name, else as any other; what is wrong is told without it."""
        try:
            found = _read_secret([directory / variable for directory in directories], variable)
            text = found[0] if found else (self.text(key) or self._environment.get(variable) or "").strip()
            return convert(text) if text else None
        except ValueError as error:
            self._note(f"{variable}: {error}")
        except SettingsError as error:
            self._note(str(error), passing=error.exit_code is ExitCode.TRY_AGAIN)
        return None

    def variable(self, name: str, convert: Callable[[str], T]) -> T | None:
        """Give the value of an environment variable that config.toml does not name."""
        try:
            return convert(text) if (text := self._environment.get(name)) else None
        except ValueError as error:
            self._note(f"{name}: {error}", passing=isinstance(error, _NotThereYetError))
            return None

    def required(self, key: str, variable: str, expected: str, convert: Callable[[str], str]) -> str:
        if self.text(key) is not None:
            return self.read(key, convert) or ""
        # a config.toml from before this version may not have the key
        if self._environment.get(variable):
            return self.variable(variable, convert) or ""
        self._note(f"{variable}: not set; expected {expected}")
        return ""

    def path(self, key: str, variable: str, expected: str) -> Path:
        # what a process works on must not depend on where it was started
        return Path(self.required(key, variable, expected, str) or ".").absolute()

    def days(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self._found(key)
        if not isinstance(value, list):
            return self.read(key, _days) or default
        if not all(type(day) is int and 0 < day <= LONGEST_DAYS for day in value):
            expected = f"a list of days such as [14, 7, 3, 1], none more than {LONGEST_DAYS}"
            self._note(f"{self._path}: {key}: found {_listed(value)}, expected {expected}")
            return default
        return tuple(sorted(value, reverse=True))

    def _found(self, key: str) -> Any:
        value: Any = self._content
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _named(self, key: str) -> str:
        """Name the variable that a value comes from, where it is one, since that is what people set."""
        named = re.fullmatch(r"\$\{?(\w+)\}?", str(self._found(key)))
        return named.group(1) if named else f"{self._path}: {key}"


def _workers(reader: _Reader) -> Workers | None:
    address = reader.variable("AUTOFLOW_WORKERS", parse_workers_address)
    certificates = reader.variable("AUTOFLOW_WORKERS_CERTIFICATES", parse_certificates)
    falls_back = reader.variable("AUTOFLOW_WORKERS_FALLBACK", parse_fallback) or False
    lease = reader.variable("AUTOFLOW_WORKERS_LEASE", _lease) or LEASE
    if address is not None and certificates is None:
        reader.variable("AUTOFLOW_WORKERS", _without_certificates)
    return Workers(address, certificates, falls_back, lease) if address and certificates else None


def _without_certificates(_: str) -> str:
    raise ValueError("needs AUTOFLOW_WORKERS_CERTIFICATES, the directory of ca.pem, daemon.pem and daemon-key.pem")


def _lease(text: str) -> float:
    seconds = parse_duration(text)
    if not SHORTEST_LEASE <= seconds <= LONGEST_LEASE:
        raise ValueError(f"found {shown(text)}, expected between {SHORTEST_LEASE:g}s and {LONGEST_LEASE / 3600:g}h")
    return seconds


def _name(text: str) -> str:
    name = " ".join(text.split())
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"found {shown(text)}, expected a name of at most {LONGEST_NAME} characters on one line")
    return name


def _is_text(text: str) -> bool:
    return not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text.strip())


def _database_path(uri: str) -> Path:
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme != "sqlite":
        found = f"scheme '{scheme}'" if separator else "no scheme"
        raise ValueError(
            f"{found}, expected sqlite:///relative/path or sqlite:////absolute/path. AutoFlow keeps its record in one"
            " SQLite file: unset AUTOFLOW_DB_URI to have it in the outputs directory, and take over what a"
            " PostgreSQL database holds with `autoflow import-record`"
        )
    path = rest.removeprefix("/")
    if not rest.startswith("/") or not path or path == ":memory:":
        raise ValueError("names no file; expected sqlite:///relative/path or sqlite:////absolute/path")
    return Path(path)


def _placed(path: Path, outputs: Path) -> Path:
    """Say where a database is: a relative path counts from where AutoFlow runs if it is there, else from outputs."""
    return path.absolute() if path.exists() else outputs / path


def _days(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\s*[1-9]\d*\s*(,\s*[1-9]\d*\s*)*", text, re.ASCII):
        raise ValueError(f"found {shown(text)}, expected days such as 14,7,3,1")
    days = [int(part) if len(part.strip()) <= 4 else LONGEST_DAYS + 1 for part in text.split(",")]
    if max(days) > LONGEST_DAYS:
        raise ValueError(f"found {shown(text)}, expected days such as 14,7,3,1, none more than {LONGEST_DAYS}")
    return tuple(sorted(days, reverse=True))


def _listed(value: list[Any]) -> str:
    try:
        return shortened(str(value))
    except (ValueError, RecursionError):
        return "a list of what cannot be written out"


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # what was found may be a token in the wrong place: it is not shown
        raise ValueError("is not a web address; expected one such as https://flowapi.example.org")
    if parts.username or parts.password:
        raise ValueError("has a user name or a password in it; FlowAPI takes a token, in FLOWAPI_TOKEN")
    if parts.query or parts.fragment:
        raise ValueError("has something after its path (? or #); expected one such as https://flowapi.example.org")
    if re.search(r"/api/\d+/*$", parts.path):
        raise ValueError("ends in /api/0, which AutoFlow and flowclient add themselves; leave it out")
    return text.rstrip("/")


def _hook(text: str) -> str:
    if not _has_host(text, ("http", "https")):
        # the whole of it may be a secret: it is not shown
        raise ValueError("is not a web address; expected one such as https://hooks.example.org/...")
    return text


def _smtp_url(text: str) -> str:
    if not _has_host(text, ("smtp", "smtps")):
        raise ValueError(
            "is not the address of a mail server; expected one such as"
            " smtp://user:password@mail.example.org:587?from=autoflow@example.org, or smtps://..., with"
            " what is special in user and password as %40 and the like"
        )
    return text


def _apprise(text: str) -> str:
    if find_spec("apprise") is None:
        raise ValueError("needs a package that is not installed; install it: pip install 'flowkit-autoflow[apprise]'")
    return text


def _has_host(text: str, schemes: Collection[str]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", text)
    except ValueError:
        return False


def _file(text: str) -> Path:
    path = Path(text).absolute()
    try:
        missing = not path.exists() and is_not_mounted(path.parent)
        usable = path.is_file() and os.access(path, os.R_OK)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{shortened(text)} is not a readable file ({getattr(error, 'strerror', None) or error})"
        ) from None
    if missing:
        raise _NotThereYetError(f"{path} not found; {path.parent} is empty or missing: is it mounted?")
    if not usable:
        raise ValueError(f"{path} is not a readable file")
    return path


def _log_level(text: str) -> str:
    if text.upper() not in LOG_LEVELS:
        raise ValueError(f"found {shown(text)}, expected one of {', '.join(LOG_LEVELS)}")
    return text.upper()
