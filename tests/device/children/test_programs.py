"""Every program that is started is one of ours, exists, and goes through the launcher."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from edge_runtime.device.children import run_child
from scripts.structure import module_files

FILES = module_files()
# May name what starts processes, and why.
STARTERS = {
    "edge_runtime.device.children.launch": "the launcher",
    "edge_runtime.device.children.stream": "a pipe to a child of the launcher",
    "edge_runtime.device.children.allowed": "looks at sys.executable to say whether it may be started",
    "edge_runtime.device.device": "macOS tells its memory and processor by sysctl and vm_stat alone",
}
_MODULES = {"subprocess", "multiprocessing", "pty", "asyncio.subprocess", "concurrent.futures.process"}
_NAMES = {
    *("executable", "_base_executable", "Popen", "ProcessPoolExecutor", "fork", "forkpty", "system", "popen"),
    *("posix_spawn", "posix_spawnp", "create_subprocess_exec", "create_subprocess_shell", "startfile"),
    *(f"exec{ending}" for ending in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    *(f"spawn{ending}" for ending in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
}
_STARTING = set(product(("sys", "os", "subprocess", "multiprocessing", "asyncio", "futures"), _NAMES))
_LAUNCHERS = {"run_child", "ChildStream"}


def starters_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in _MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in _MODULES:
            yield node.module
        elif isinstance(node, ast.Attribute) and (getattr(node.value, "id", ""), node.attr) in _STARTING:
            yield ast.unparse(node)


def launched_in(tree: ast.AST) -> Iterator[ast.expr]:
    """The first argument of each call of a launcher."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _LAUNCHERS:
                yield node.args[0]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_only_the_launcher_starts_processes() -> None:
    found = {name for name, path in FILES.items() if list(starters_in(parsed(path)))}
    assert found == set(STARTERS)


def test_the_search_sees_what_starts_processes() -> None:
    code = "import os, sys\nos.fork()\nfrom subprocess import run\nprint(sys.executable)\nos.path.exists('')"
    assert sorted(starters_in(ast.parse(code))) == ["os.fork", "subprocess", "sys.executable"]


def child_modules() -> set[str]:
    found = set()
    for module, path in FILES.items():
        if module.startswith("edge_runtime.device.children."):
            continue
        tree = parsed(path)
        texts = {
            node.targets[0].id: node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        for argument in launched_in(tree):
            name = texts.get(argument.id) if isinstance(argument, ast.Name) else None
            name = argument.value if isinstance(argument, ast.Constant) else name
            assert isinstance(name, str), f"{path}:{argument.lineno}: a module is named by a literal"
            found.add(name)
    return found


def test_all_children_are_known() -> None:
    assert {"edge_runtime.backends.llama.trial", "edge_runtime.bench.doctor_child"} <= child_modules()
    assert len(child_modules()) >= 5


@pytest.mark.parametrize("module", sorted(child_modules()))
def test_a_child_is_a_module_of_ours_with_a_main(module: str) -> None:
    assert module in FILES, "no such module"
    tree = parsed(FILES[module])
    assert any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
    last = tree.body[-1]
    assert isinstance(last, ast.If) and ast.unparse(last) == (
        "if __name__ == '__main__':\n    sys.exit(main())"
    )


def test_a_module_that_is_not_there_is_told() -> None:
    assert "No module named" in run_child("edge_runtime.no_such_child", {}, limit_s=60).describe()
