"""The public test suite of JSON Schema, which the source package of `jsonschema` carries.

Fetched once with pip, into the user's cache folder; where the package index cannot be reached
there is none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema

_VERSION = "4.26.0"
_BASE = os.environ.get("XDG_CACHE_HOME", "")  # read before a test hides it
CACHE = (Path(_BASE) if _BASE.startswith("/") else Path.home() / ".cache") / "edge-runtime"
_SUITE = CACHE / f"json-schema-test-suite-{_VERSION}"
_ENVIRONMENT = dict(os.environ)
DRAFTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}


class SuiteUnreachable(Exception):
    """The package index did not answer; the text is pip's."""


class Case(NamedTuple):
    name: str
    schema: Any
    tests: list[dict[str, Any]]
    draft: str


def suite_folder() -> Path:
    """Raises SuiteUnreachable."""
    if not _SUITE.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            _unpack(_download(Path(folder)), Path(folder))
            (Path(folder) / f"jsonschema-{_VERSION}" / "json" / "tests").rename(_SUITE)
    return _SUITE


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--dest", str(folder), f"jsonschema=={_VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, env=_ENVIRONMENT, check=False)
    if done.returncode:
        raise SuiteUnreachable(done.stderr.strip()[-300:])
    return next(folder.glob("jsonschema-*.tar.gz"))


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        members = [member for member in packed if "/json/tests/draft" in member.name and member.isfile()]
        for member in members:
            target = folder / member.name
            if ".." in member.name or member.name.startswith("/"):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            source = packed.extractfile(member)
            assert source is not None
            target.write_bytes(source.read())


def required_cases(draft: str) -> Iterator[Case]:
    """Of the files that every implementation has to pass, without those in optional/."""
    for path in sorted((suite_folder() / draft).glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            schema = group["schema"]
            if isinstance(schema, dict) and "$schema" not in schema:
                schema = {"$schema": DRAFTS[draft], **schema}
            yield Case(f"{draft}/{path.stem}: {group['description']}", schema, group["tests"], draft)


def _multiple_of(
    validator: Any, step: Any, instance: Any, schema: Any
) -> Iterator[jsonschema.ValidationError]:
    """As the standard says it, without the rounding of binary fractions."""
    if isinstance(instance, bool) or not isinstance(instance, (int, float)):
        return
    if (Fraction(str(instance)) / Fraction(str(step))).denominator != 1:
        yield jsonschema.ValidationError(f"{instance} is no multiple of {step}")


def validator_for(schema: Any, draft: str = "draft2020-12") -> Any:
    kind = jsonschema.Draft7Validator if draft == "draft7" else jsonschema.Draft202012Validator
    kind = jsonschema.validators.extend(kind, {"multipleOf": _multiple_of})
    return kind(schema, format_checker=kind.FORMAT_CHECKER)
