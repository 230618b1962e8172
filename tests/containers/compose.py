"""docker-compose.yml as Compose would see it: anchors merged, variables filled in, shape checked.

The shape is that of the Compose Specification, as far as this project uses it: an unknown key is
refused, because Compose refuses it too.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.architecture.sources import ROOT

FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<name>[A-Z_][A-Z0-9_]*)(?:(?P<how>:?[-?+])(?P<rest>[^}]*))?\})"
)

TEXT: dict[str, Any] = {"type": "string"}
SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT, "uniqueItems": True}
WORDS: dict[str, Any] = {"type": "array", "items": TEXT, "minItems": 1}
COMMAND: dict[str, Any] = {"anyOf": [TEXT, WORDS]}
DURATION: dict[str, Any] = {"type": "string", "pattern": r"^(\d+(\.\d+)?(us|ms|s|m|h))+$"}
SIZE: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)?(b|k|kb|m|mb|g|gb)$"}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


SERVICE = closed(
    image=TEXT,
    build={"anyOf": [TEXT, closed(context=TEXT, dockerfile=TEXT, target=TEXT)]},
    command=COMMAND,
    entrypoint=COMMAND,
    restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
    init={"type": "boolean"},
    hostname={"type": "string", "pattern": "^[a-z0-9-]+$"},
    user=TEXT,
    working_dir=TEXT,
    shm_size=SIZE,
    stop_grace_period=DURATION,
    stop_signal={"type": "string", "pattern": "^SIG[A-Z]+$"},
    cap_drop=TEXTS,
    cap_add=TEXTS,
    security_opt=TEXTS,
    read_only={"type": "boolean"},
    tmpfs=TEXTS,
    environment={"type": "object", "additionalProperties": SCALAR},
    env_file=TEXTS,
    volumes={
        "type": "array",
        "items": {"type": "string", "pattern": r"^[a-z][a-z0-9_-]*:/[^:]+(:(ro|rw))?$"},
        "uniqueItems": True,
    },
    ports={
        "type": "array",
        "items": {"type": "string", "pattern": r"^(\d+\.\d+\.\d+\.\d+:)?\d+:\d+(/(tcp|udp))?$"},
        "uniqueItems": True,
    },
    depends_on={
        "type": "object",
        "additionalProperties": {
            **closed(
                condition={
                    "enum": [
                        "service_started", "service_healthy", "service_completed_successfully",
                    ]
                },
                restart={"type": "boolean"},
                required={"type": "boolean"},
            ),
            "required": ["condition"],
        },
    },
    healthcheck={
        **closed(
            test={
                "type": "array",
                "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}],
                "items": TEXT,
                "minItems": 2,
            },
            interval=DURATION,
            timeout=DURATION,
            retries={"type": "integer", "minimum": 1},
            start_period=DURATION,
            start_interval=DURATION,
        ),
        "required": ["test"],
    },
    deploy=closed(replicas={"type": "integer", "minimum": 0}),
)  # fmt: skip
FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["services"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"},
            "additionalProperties": {
                **SERVICE, "anyOf": [{"required": ["image"]}, {"required": ["build"]}],
            },
        },
        "volumes": {"type": "object", "additionalProperties": {"type": ["object", "null"]}},
        "networks": {"type": "object"},
        "secrets": {"type": "object"},
    },
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
}  # fmt: skip


class VariableMissing(ValueError):
    """A required variable is not set; the message is the file's own."""


def text() -> str:
    return FILE.read_text(encoding="utf-8")


def load(variables: dict[str, str]) -> dict[str, Any]:
    """The file with `variables` filled in. Raises VariableMissing as Compose would end."""
    return fill(yaml.safe_load(text()), variables)


def fill(value: Any, variables: dict[str, str]) -> Any:
    """Values with variables filled in; keys are left alone, as the specification has it."""
    if isinstance(value, dict):
        return {key: fill(member, variables) for key, member in value.items()}
    if isinstance(value, list):
        return [fill(member, variables) for member in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _filled(found, variables), value)
    return value


def asked_for() -> dict[str, bool]:
    """Every variable of the file, and whether it is required."""
    asked: dict[str, bool] = {}
    for found in VARIABLE.finditer(text()):
        if found["name"]:
            asked[found["name"]] = asked.get(found["name"], False) or "?" in (found["how"] or "")
    return asked


def flaws(whole: Any) -> list[str]:
    """Where the file has not the shape of the specification."""
    errors = Draft202012Validator(FILE_SCHEMA).iter_errors(whole)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def _filled(found: re.Match[str], variables: dict[str, str]) -> str:
    if found["escaped"]:
        return "$"
    value = variables.get(found["name"])
    how, rest = found["how"] or "", found["rest"] or ""
    unset = value is None or (how.startswith(":") and value == "")
    if not unset:
        return value or ""
    if "?" in how:
        raise VariableMissing(f"{found['name']}: {rest}")
    return rest if "-" in how else ""
