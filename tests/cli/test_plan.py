"""`edge-runtime plan`: a table and a few sentences, or JSON; 4 when it does not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.builders import tiny_gemma3_gguf

from edge_runtime.cli.command_line import main

Capture = pytest.CaptureFixture[str]


def test_a_file_is_planned(tiny: Path, capsys: Capture) -> None:
    assert main(["plan", str(tiny), "--budget", "2GB"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "" and lines[0] == "tiny.gguf, 256 tokens of context"
    assert lines[1].split() == ["PART", "SIZE", "HELD"]
    assert any(line.startswith("KV cache") and "256 tokens, f16" in line for line in lines)
    assert any(line.startswith("total in memory") for line in lines)
    assert "Fits the budget of 2.00 GB (--budget)." in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("budget", "told", "other_units"),
    [
        ("2GB", "2.00 GB", "iB"),
        ("2000000000", "2.00 GB", "iB"),
        ("2GiB", "2.00 GiB", "[KMGT]B"),
        ("2.0 gib", "2.00 GiB", "[KMGT]B"),
    ],
)
def test_who_asks_in_one_family_of_units_reads_no_other(
    budget: str, told: str, other_units: str, capsys: Capture
) -> None:
    assert main(["plan", "gemma-3n-e2b-it", "--budget", budget]) == 0
    out = capsys.readouterr().out
    assert f"Fits the budget of {told} (--budget)." in out
    assert "embeddings (" in out and not re.search(rf"\d {other_units}\b", out)


def test_the_default_budget_is_what_the_device_can_spare(tiny: Path, capsys: Capture) -> None:
    assert main(["plan", str(tiny)]) == 0
    out = capsys.readouterr().out
    assert "stay" in out and "budget of" in out


def test_a_catalog_model_that_is_not_here_is_planned(capsys: Capture) -> None:
    assert main(["plan", "gemma-3n-e2b-it", "--budget", "2GB"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("gemma-3n-E2B-it-Q4_K_M.gguf, 4096 tokens of context")
    assert "it is not here yet" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_a_quantization_can_be_named(capsys: Capture) -> None:
    assert main(["plan", "gemma-3n-e2b-it:Q8_0", "--budget", "2GB", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["choices"]["file"] == "gemma-3n-E2B-it-Q8_0.gguf" and found["choices"]["streamed_bytes"] > 0


def test_options_are_fixed(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_gemma3_gguf(changes={"gemma3.attention.key_length": 8}))
    command = ["plan", str(path), "--context", "128", "--kv", "f16", "--micro-batch", "32", "--no-repack"]
    assert main([*command, "--threads", "1", "--parallel", "2", "--json"]) == 0
    choices = json.loads(capsys.readouterr().out)["choices"]
    assert (choices["context_tokens"], choices["kv_type"], choices["micro_batch"]) == (128, "f16", 32)
    assert (choices["repack"], choices["threads"]) == (False, 1)


def test_json_has_the_promised_keys(tiny: Path, capsys: Capture) -> None:
    assert main(["plan", str(tiny), "--json", "--budget", "1GB"]) == 0
    found = json.loads(capsys.readouterr().out)
    promised = {"fits", "budget_bytes", "total_bytes", "minimum_bytes", "parts", "choices", "explanation"}
    assert promised <= set(found)
    assert found["fits"] is True and found["budget_bytes"] == 1_000_000_000
    in_memory = [part["bytes"] for part in found["parts"] if part["held"] != "flash"]
    assert sum(in_memory) == found["total_bytes"]


def test_what_does_not_fit_is_shown_and_refused(tiny: Path, capsys: Capture) -> None:
    assert main(["plan", str(tiny), "--budget", "1MB"]) == 4
    out, err = capsys.readouterr()
    assert "Does not fit the budget of 1.00 MB (--budget)." in out
    assert err.startswith("error: tiny.gguf with 256 tokens of context needs ")
    assert re.search(r"budget.'?\d+MB'? fits", err)
    assert main(["plan", str(tiny), "--budget", "1MB", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["fits"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        ["--context", "many"],
        ["--budget", "lots"],
        ["--kv", "f33"],
        ["--ple", "nowhere"],
        ["--parallel", "0"],
        ["--micro-batch", "-4"],
    ],
)
def test_wrong_values_are_usage_errors(tiny: Path, wrong: list[str], capsys: Capture) -> None:
    assert main(["plan", str(tiny), *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_model_nobody_knows_is_a_model_error(capsys: Capture) -> None:
    assert main(["plan", "no-such-model"]) == 3
    assert "no model is called 'no-such-model'" in capsys.readouterr().err
