"""Who imports whom, what importing costs, and whether __all__ is the truth."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import edge_runtime

PACKAGE = Path(edge_runtime.__file__).parent

# From the bottom up: a module imports only from its own row or a lower one. A folder
# with __init__.py counts as one module here.
ROWS = {
    "values": "errors units records languages progress display_text gguf_*",
    "decisions": "memory ple catalog manifest store model_lock inventory partial_file"
    " device cgroup process_memory transcript",
    "work": "prompt template_sandbox sealed_state audio vad recognizer onnx_session whisper captions engine"
    " backend llama_backend probe residency probe_model pull* download tools",
    "flows": "runtime opening async_runtime stream chat history state_files report listening speech*"
    " translation bench* measure* doctor* openai_schema",
    "doors": "cli server __main__",
}
FRONT = "__init__"  # the package's face: loads anything, but only when a name is asked for
MAY_OPEN_CONNECTIONS = ("pull*", "download")
NETWORK_MODULES = (
    *("socket", "ssl", "urllib.request", "http.client", "ftplib", "smtplib", "xmlrpc"),
    *("huggingface_hub", "requests", "httpx*", "urllib3", "aiohttp"),
)


def modules() -> list[str]:
    files = {path.stem for path in PACKAGE.glob("*.py")}
    return sorted((files | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}) - {FRONT})


def sources(module: str) -> list[Path]:
    return [*PACKAGE.glob(f"{module}.py"), *sorted(PACKAGE.glob(f"{module}/**/*.py"))]


def rows_of(module: str) -> list[int]:
    return [n for n, row in enumerate(ROWS.values()) if any(fnmatch(module, name) for name in row.split())]


def row_of(module: str) -> int:
    return next(iter(rows_of(module)), 0)  # without a place: the test of the map says so


def imported(path: Path) -> Iterator[str]:
    """Absolute dotted names of everything a file imports, also inside functions and if TYPE_CHECKING."""
    inside = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1]  # the package it is in
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(inside[: len(inside) + 1 - node.level]) if node.level else ""
            start = ".".join(part for part in (base, node.module) if part)
            yield from (f"{start}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)
            )


def neighbours(module: str) -> set[str]:
    """The modules of this package that `module` imports."""
    names = {name for path in sources(module) for name in imported(path)}
    inner = {name.split(".")[1] for name in names if name.startswith("edge_runtime.")}
    return (inner & set(modules())) - {module}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) or name.startswith(f"{pattern}.") for pattern in patterns)


@pytest.mark.parametrize("module", modules())
def test_module_is_on_the_map_once(module: str) -> None:
    assert len(rows_of(module)) == 1, f"give {module} a place in ROWS"


@pytest.mark.parametrize("module", modules())
def test_module_imports_nothing_above_its_row(module: str) -> None:
    row = row_of(module)
    above = {name for name in neighbours(module) if row_of(name) > row}
    assert not above, f"{module} ({list(ROWS)[row]}) imports {sorted(above)} from a higher row"


def importers_of(patterns: tuple[str, ...]) -> set[str]:
    names = {module: {name for path in sources(module) for name in imported(path)} for module in modules()}
    return {module for module in names if any(matches(name, patterns) for name in names[module])}


def test_only_llama_backend_imports_llama_cpp() -> None:
    assert importers_of(("llama_cpp",)) <= {"llama_backend"}


def test_only_pull_can_open_a_connection() -> None:
    offline = {name for name in importers_of(NETWORK_MODULES) if not matches(name, MAY_OPEN_CONNECTIONS)}
    assert offline == set()


def test_only_the_command_line_uses_the_tools() -> None:
    """They are for a bigger machine: nothing that answers may need them."""
    assert sources("tools"), "edge_runtime/tools should be a link to ../tools"
    assert importers_of(("edge_runtime.tools",)) <= {"cli", "tools"}


def test_the_checks_see_lazy_relative_and_indirect_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "edge_runtime" / "llama_backend"
    package.mkdir(parents=True)
    code = (
        "def f():\n    from ..cli import main\n    from . import library\n    import socket\n"
        "    import_module('llama_cpp.llama_cpp')\n"
    )
    (package / "backend.py").write_text(code)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package.parent)
    assert set(imported(package / "backend.py")) == {
        *("edge_runtime.cli.main", "edge_runtime.llama_backend.library", "socket", "llama_cpp.llama_cpp")
    }


def test_importing_the_package_opens_no_file_socket_or_native_library() -> None:
    code = """
import json, sys
seen = []
def watch(event, arguments):
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
        seen.append(["open", str(arguments[0])])
    elif event.startswith(("socket.", "ctypes.", "subprocess.", "os.system")):
        seen.append([event, ""])
sys.addaudithook(watch)
import edge_runtime
loaded = [name for name in ("llama_cpp", "numpy", "ctypes", "socket", "logging") if name in sys.modules]
print(json.dumps([seen, loaded]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent, check=True)
    assert json.loads(done.stdout) == [[], []]


def test_all_is_what_the_package_can_give() -> None:
    assert set(edge_runtime.__all__) == {*edge_runtime._HOME_OF, "__version__"}
    assert sorted(edge_runtime.__all__) == sorted(set(edge_runtime.__all__))
    for name in edge_runtime.__all__:
        assert getattr(edge_runtime, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = edge_runtime.nonsense


@pytest.mark.parametrize("module", [m for m in modules() if m != "__main__"])
def test_all_of_each_module_exists(module: str) -> None:
    loaded = importlib.import_module(f"edge_runtime.{module}")
    missing = [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)]
    assert not missing
