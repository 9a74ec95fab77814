"""`chat` and `generate` as a person and a script meet them: real processes, a real terminal, SmolLM2."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.pseudo_terminal import PseudoTerminal, child_environment

from edge_runtime.backends.guard.probe import guard_file, run_probe

COMMAND = [sys.executable, "-m", "edge_runtime"]
QUICK = ["--context", "1024", "--temperature", "0", "--max-tokens", "24"]
PROMPT_SHOWN = "> "

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def store(tmp_path: Path, shared_store: Path, smollm2_path: Path, gemma_path: Path) -> Path:
    """An empty store, but for what the crash guard has found out about this machine."""
    for path in (smollm2_path, gemma_path):
        guard_file(path, run_probe().use_extra_bufts)
    own = tmp_path / "store"
    own.mkdir()
    shutil.copy(shared_store / "probe.json", own)
    return own


@pytest.fixture
def environment(store: Path) -> dict[str, str]:
    return child_environment(EDGE_RUNTIME_HOME=str(store), TERM="xterm", LC_ALL="C.UTF-8", NO_COLOR="1")


@pytest.fixture
def run(environment: dict[str, str], smollm2_path: Path, tmp_path: Path) -> Run:
    def run(
        *arguments: str, piped: bytes = b"", model: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        command = [*COMMAND, arguments[0], "--model", str(model or smollm2_path), *QUICK, *arguments[1:]]
        return subprocess.run(
            command, input=piped, capture_output=True, env=environment, cwd=tmp_path, timeout=120, check=False
        )

    return run


# --- generate -------------------------------------------------------------------------------


def test_generate_streams_an_answer_and_json_reports_the_same(run: Run) -> None:
    plain, reported = run("generate", "Say hello."), run("generate", "--json", piped=b"Say hello.\n")
    assert plain.returncode == reported.returncode == 0
    assert plain.stderr == reported.stderr == b""
    report = json.loads(reported.stdout.splitlines()[-1])
    assert plain.stdout.decode() == report["text"] + "\n" and len(report["text"]) > 5
    assert set(report) == {"text", "finish_reason", "usage", "timings", "memory", "plan"}
    assert report["usage"]["prompt_tokens"] > report["usage"]["cached_tokens"] == 0
    assert 0 < report["usage"]["completion_tokens"] <= 24
    assert all(value > 0 for value in report["timings"].values())
    if sys.platform == "linux":
        assert report["memory"]["peak_file_bytes"] > 90_000_000  # the mapped model
        assert report["memory"]["peak_anonymous_bytes"] > 20_000_000  # the cache alone has 23 MB


def test_a_schema_is_followed(run: Run, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"animal": {"enum": ["cat", "dog"]}, "legs": {"type": "integer"}},
        "required": ["animal", "legs"],
        "additionalProperties": False,
    }
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    done = run("generate", "--schema", "schema.json", "Tell me about an animal. Do not use JSON!")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["animal"] in ("cat", "dog") and isinstance(answer["legs"], int) and len(answer) == 2


def test_a_grammar_is_followed_and_a_broken_one_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.gbnf").write_text('root ::= "yes" | "no"\n')
    (tmp_path / "bad.gbnf").write_text("root ::= undefined-rule\n")
    done = run("generate", "--grammar", "good.gbnf", "Is the sky blue?")
    assert done.returncode == 0 and done.stdout in (b"yes\n", b"no\n")
    refused = run("generate", "--grammar", "bad.gbnf", "Is the sky blue?")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"error: --grammar: line 1: there is no rule 'undefined-rule'" in refused.stderr


@pytest.mark.parametrize(
    ("piped", "status", "message"),
    [
        (b"caf\xe9", 2, b"byte 0xe9 at offset 3"),
        (b"word " * 3000, 4, b"tokens"),
    ],
)
def test_what_cannot_be_a_prompt_ends_with_one_line_and_its_status(
    run: Run, piped: bytes, status: int, message: bytes
) -> None:
    done = run("generate", piped=piped)
    assert (done.returncode, done.stdout) == (status, b"")
    first, hint = done.stderr.splitlines()
    assert first.startswith(b"error: ") and message in first and hint.startswith(b"  hint: ")


def test_an_unknown_option_ends_with_2(run: Run) -> None:
    done = run("generate", "--nonsense", "Hi")
    assert done.returncode == 2 and b"--nonsense" in done.stderr and b"Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_it_quietly(
    environment: dict[str, str], smollm2_path: Path, tmp_path: Path
) -> None:
    """`head` closes the pipe after a few bytes, while the answer is being written."""
    command = [
        *COMMAND,
        "generate",
        "--model",
        str(smollm2_path),
        "--max-tokens",
        "300",
        "Count from 1 to 99.",
    ]
    script = f"set -o pipefail; {shlex.join(command)} | head -c 3"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, env=environment, cwd=tmp_path, timeout=120, check=False
    )
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 3, b"")


def test_ctrl_c_stops_generate_with_130_and_what_was_written_stays(
    environment: dict[str, str], smollm2_path: Path, tmp_path: Path
) -> None:
    command = [
        *COMMAND,
        "generate",
        "--model",
        str(smollm2_path),
        "--raw",
        "--max-tokens",
        "900",
        "1 2 3 4 5 6",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(first + rest) < 2000 and rest.endswith(b"\n") and b"Traceback" not in errors


def test_a_base_model_says_that_it_only_continues(run: Run, gemma_path: Path) -> None:
    done = run("chat", "--max-tokens", "4", "The Eiffel Tower is in the city of", model=gemma_path)
    assert done.returncode == 0 and b"Paris" in done.stdout
    assert done.stderr.count(b"\n") == 1 and b"base model" in done.stderr


# --- chat on a terminal -----------------------------------------------------------------------


@pytest.fixture
def open_chat(
    environment: dict[str, str], smollm2_path: Path, tmp_path: Path
) -> Callable[..., PseudoTerminal]:
    def open_chat(*arguments: str, **changed: str) -> PseudoTerminal:
        command = [*COMMAND, "chat", "--model", str(smollm2_path), *QUICK, *arguments]
        return PseudoTerminal(command, {**environment, **changed}, tmp_path)

    return open_chat


def cost_of(terminal: PseudoTerminal) -> tuple[int, int]:
    """Of the next answer: prompt tokens that were new, and those that were cached."""
    found = re.search(r"prompt (\d+) new, (\d+) cached\]", terminal.wait_for("cached]"))
    assert found is not None
    terminal.wait_for(PROMPT_SHOWN)
    return int(found[1]), int(found[2])


@contextmanager
def opened(terminal: PseudoTerminal) -> Iterator[PseudoTerminal]:
    with terminal:
        terminal.wait_for(PROMPT_SHOWN)
        yield terminal


def exchanges(store: Path, environment: dict[str, str]) -> list[int]:
    listed = subprocess.run(
        [*COMMAND, "chat", "--list", "--json"], capture_output=True, env=environment, check=True
    )
    return [conversation["exchanges"] for conversation in json.loads(listed.stdout)]


def test_a_conversation_pays_only_for_what_is_new_and_ctrl_d_leaves(
    open_chat: Callable[..., PseudoTerminal],
) -> None:
    with opened(open_chat()) as terminal:
        terminal.type("My name is Ada. Remember it.\n")
        first_new, first_cached = cost_of(terminal)
        terminal.type("What is my name?\n")
        second_new, second_cached = cost_of(terminal)
        terminal.type("\x04")
        assert terminal.wait() == 0
    assert first_cached == 0
    assert second_cached >= first_new and second_new < 20
    assert "Traceback" not in terminal.output


def test_ctrl_c_stops_the_answer_and_not_the_program(
    open_chat: Callable[..., PseudoTerminal], store: Path, environment: dict[str, str]
) -> None:
    with opened(open_chat("--max-tokens", "800")) as terminal:
        terminal.type("Write a very long story about a river.\n")
        terminal.wait_for("\r\n")  # the echo of the line
        terminal.wait_for(" ")  # the first word is there
        terminal.type("\x03")
        terminal.wait_for("[stopped; ", timeout_s=10)
        terminal.wait_for(PROMPT_SHOWN)
        terminal.type("/history\n")
        assert "Write a very long story" in terminal.wait_for("[stopped]")
        terminal.wait_for(PROMPT_SHOWN)
        terminal.type("/quit\n")
        assert terminal.wait() == 0
    assert exchanges(store, environment) == [1]


def test_kill_9_loses_no_finished_turn_and_resume_goes_on(
    open_chat: Callable[..., PseudoTerminal], store: Path, environment: dict[str, str]
) -> None:
    with opened(open_chat()) as terminal:
        for question in ("Name a colour.", "Name another."):
            terminal.type(question + "\n")
            cost_of(terminal)
        terminal.type("And a third, with a long explanation.\n")
        terminal.wait_for("\r\n")
        terminal.kill()
    assert exchanges(store, environment) == [2]
    with opened(open_chat("--resume")) as terminal:
        assert "2 turns so far" in terminal.output and "Name another." in terminal.output
        terminal.wait_for(PROMPT_SHOWN)  # the last question is shown behind one, too
        terminal.type("Name a fourth.\n")
        new, cached = cost_of(terminal)
        assert cached == 0 and new > 60  # no state was saved: all is evaluated again
        terminal.type("/quit\n")
        assert terminal.wait() == 0
    assert exchanges(store, environment) == [3]
    with opened(open_chat("--resume", "1")) as terminal:
        terminal.wait_for(PROMPT_SHOWN)
        terminal.type("And a fifth.\n")
        new, cached = cost_of(terminal)
        assert cached > 80 and new < 20  # leaving saved the state
    assert exchanges(store, environment) == [4]


def test_pasted_lines_are_one_message(open_chat: Callable[..., PseudoTerminal]) -> None:
    with opened(open_chat("--no-history")) as terminal:
        terminal.type("\x1b[200~first line\nsecond line\nthird line\x1b[201~\n")
        cost_of(terminal)
        terminal.type("/history\n")
        assert "> first line\r\n. second line\r\n. third line\r\n" in terminal.wait_for("third line\r\n")


def test_a_dumb_terminal_gets_plain_text(open_chat: Callable[..., PseudoTerminal]) -> None:
    with opened(open_chat("--no-history", TERM="dumb", NO_COLOR="")) as terminal:
        terminal.type("Say hello.\n")
        cost_of(terminal)
        terminal.type("\x04")
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.output and "loading" in terminal.output


def test_a_changed_system_prompt_and_retry_work_on_the_real_model(
    open_chat: Callable[..., PseudoTerminal],
) -> None:
    with opened(open_chat("--no-history", "--system", "You answer in one word.")) as terminal:
        terminal.type("Name a fruit.\n")
        cost_of(terminal)
        terminal.type("/retry\n")
        new, cached = cost_of(terminal)
        assert new == 1 and cached > 10  # the same prompt: one token is evaluated for its logits
        terminal.type("/system You are a pirate.\n")
        terminal.wait_for("System prompt: You are a pirate.")
        terminal.wait_for(PROMPT_SHOWN)
        terminal.type("/retry\n")
        new, cached = cost_of(terminal)
        assert new > 10
        terminal.type("/stats\n")
        stats = terminal.wait_for("first token after")
        assert "answers  3" in stats and "of 1024 tokens used" in stats and "MB anonymous" in stats
