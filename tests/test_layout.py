"""The layout: imports between folders, the cost of importing, the truth of __all__."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.places import ROOT

import edge_runtime
from scripts import structure
from scripts.structure import FRONT, ORDER, circles, layer_of, upward_imports

FILES = structure.module_files()
GRAPH = structure.import_graph(FILES)
# Nothing else lies beside the folders of edge_runtime/.
BESIDE_THE_FOLDERS = {"__init__.py", "__main__.py", "errors.py", "py.typed"}
# Test folders without a folder of the product: real models, helpers, the scripts and the tools.
OTHER_TEST_FOLDERS = {"real", "scripts", "support", "tools"}

# Which folder alone may import a library. llama_cpp is imported by a name put together at
# run time; there the import statements and literal names of other folders are what counts.
ONLY_IN = {
    "llama_cpp": "edge_runtime.backends.llama",
    "onnxruntime": "edge_runtime.backends.onnx",
    "matplotlib": "edge_runtime.bench.pictures",
}
MAY_OPEN_CONNECTIONS = "edge_runtime.catalog.pulling"
NETWORK_MODULES = (
    *("socket", "ssl", "urllib.request", "http.client", "ftplib", "smtplib", "xmlrpc"),
    *("huggingface_hub", "requests", "httpx", "httpcore", "urllib3", "aiohttp"),
)


def is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def importers_of(library: str) -> set[str]:
    return {
        module
        for module, path in FILES.items()
        if any(is_inside(name, library) for name in structure.imported_names(path, module))
    }


def test_order_names_each_folder_once_and_no_other() -> None:
    beside = {name for name in FILES if name.count(".") == 1 and name.startswith("edge_runtime.")}
    assert Counter(ORDER) == Counter({*beside - set(FRONT), "edge_tools"})
    assert all(not set(name) & set("*?[") for name in ORDER)


def test_every_module_has_a_layer() -> None:
    assert [name for name in FILES if name not in FRONT and layer_of(name) is None] == []


def test_no_module_imports_upward() -> None:
    assert upward_imports(GRAPH) == []


def test_no_circle_between_files_nor_between_folders() -> None:
    assert circles(GRAPH) == []
    assert circles(structure.folder_graph(GRAPH, FILES)) == []


def test_beside_the_folders_lies_nothing_but_the_front_and_the_errors() -> None:
    package = ROOT / "edge_runtime"
    assert {path.name for path in package.iterdir() if path.is_file()} == BESIDE_THE_FOLDERS
    assert [path for path in ROOT.rglob("*") if path.is_symlink() and ".venv" not in path.parts] == []


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES.values()}), ids=str)
def test_each_folder_says_what_it_holds(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    assert text.startswith('"""'), f"{folder}: the docstring says what lives here"


@pytest.mark.parametrize("folder", ["edge_runtime", "tools", "scripts", "tests"])
def test_the_first_line_of_a_module_names_the_thing(folder: str) -> None:
    riddle = re.compile(r'"""(What|Which|Where|How|Whether|Who|When|Why|From)\b')
    files = [path for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts]
    assert files
    assert [str(path) for path in files if riddle.match(path.read_text(encoding="utf-8"))] == []


def test_tests_mirror_the_folders() -> None:
    product = {path.relative_to(ROOT / "edge_runtime") for path in (ROOT / "edge_runtime").rglob("*")}
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.parent.relative_to(ROOT / "tests")
        if folder.parts and folder.parts[0] == "tools":
            assert (ROOT / "tools" / "edge_tools" / Path(*folder.parts[1:])).is_dir(), path
        elif folder.parts and folder.parts[0] not in OTHER_TEST_FOLDERS:
            assert folder in product, path


@pytest.mark.parametrize("library", ONLY_IN)
def test_native_libraries_have_one_folder_each(library: str) -> None:
    importers = importers_of(library)
    assert importers or library == "llama_cpp"
    assert [name for name in importers if not is_inside(name, ONLY_IN[library])] == []


def test_only_pulling_can_open_a_connection() -> None:
    importers = set().union(*map(importers_of, NETWORK_MODULES))
    assert importers
    assert [name for name in importers if not is_inside(name, MAY_OPEN_CONNECTIONS)] == []


def test_only_doors_and_benchmarks_use_the_tools() -> None:
    users = [name for name in importers_of("edge_tools") if not is_inside(name, "edge_tools")]
    assert users
    assert {layer_of(name) for name in users} <= {
        ORDER.index("edge_runtime.bench"),
        ORDER.index("edge_runtime.cli"),
    }


def test_the_checks_see_lazy_relative_and_indirect_imports(tmp_path: Path) -> None:
    folder = tmp_path / "edge_runtime" / "backends" / "llama"
    folder.mkdir(parents=True)
    code = (
        "def f():\n    from ...cli import main\n    from . import library\n    import socket\n"
        "    import_module('llama_cpp.llama_cpp')\n"
    )
    (folder / "backend.py").write_text(code)
    (folder / "library.py").write_text("from .backend import f\n")
    (tmp_path / "edge_runtime" / "cli").mkdir()
    (tmp_path / "edge_runtime" / "cli" / "main.py").write_text("")
    files = structure.module_files({"edge_runtime": tmp_path / "edge_runtime"})
    backend, library = "edge_runtime.backends.llama.backend", "edge_runtime.backends.llama.library"
    assert set(structure.imported_names(files[backend], backend)) == {
        *("edge_runtime.cli.main", library, "socket", "llama_cpp.llama_cpp")
    }
    graph = structure.import_graph(files)
    assert upward_imports(graph) == [(backend, "edge_runtime.cli.main")]
    assert circles(graph) == [[backend, library]]


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
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(done.stdout) == [[], []]


def typed_names(path: Path) -> dict[str, str]:
    """Name -> module, as the TYPE_CHECKING block of a package imports them."""
    blocks = (
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    imports = (node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom))
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def test_names_that_are_loaded_later_are_those_that_type_checkers_see() -> None:
    assert typed_names(ROOT / "edge_runtime" / "__init__.py") == edge_runtime._HOME_OF


def test_all_is_what_the_package_can_give() -> None:
    assert edge_runtime.__all__ == sorted(edge_runtime._HOME_OF)
    for name in edge_runtime.__all__:
        assert getattr(edge_runtime, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = edge_runtime.nonsense


@pytest.mark.parametrize("module", sorted(set(FILES) - {"edge_runtime.__main__"}))
def test_all_of_each_module_exists(module: str) -> None:
    loaded = importlib.import_module(module)
    missing = [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)]
    assert not missing
