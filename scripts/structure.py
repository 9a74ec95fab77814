"""Prints how many folders, files, circular imports and upward imports the product has.

    python scripts/structure.py [--list]

Folders are compared by ORDER below, the one list of this project's layers.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"edge_runtime": ROOT / "edge_runtime", "edge_tools": ROOT / "tools" / "edge_tools"}

# From the bottom up: a folder imports only from itself and from those before it.
ORDER = (
    "edge_runtime.errors",
    "edge_runtime.values",
    "edge_runtime.gguf",
    "edge_runtime.device",
    "edge_runtime.catalog",
    "edge_runtime.memory",
    "edge_runtime.backends",
    "edge_runtime.runtime",
    "edge_runtime.speech",
    "edge_runtime.assistant",
    "edge_tools",
    "edge_runtime.bench",
    "edge_runtime.cli",
)
# The package's face and its `python -m`: they load anything, and nothing imports them.
FRONT = ("edge_runtime", "edge_runtime.__main__")

Graph = Mapping[str, set[str]]


def module_files(packages: Mapping[str, Path] = PACKAGES) -> dict[str, Path]:
    """Dotted module name -> its file, for every module of the product."""
    files = {}
    for name, folder in packages.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            files[".".join((name, *(part for part in parts if part != "__init__")))] = path
    return files


def imported_names(path: Path, module: str) -> Iterator[str]:
    """Absolute dotted names of everything a file imports.

    Also inside functions, under TYPE_CHECKING, and by import_module() with a literal name.
    """
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            start = ".".join(part for part in (base, node.module) if part)
            yield from (f"{start}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                argument.value
                for argument in node.args[:1]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            )


def import_graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> the modules of the product that it imports."""
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        found = {_module_of(name, files) for name in imported_names(path, module)}
        graph[module] = {name for name in found if name and name != module}
    return graph


def _module_of(name: str, files: Mapping[str, Path]) -> str:
    """The module that a dotted name is, or is in; empty for other packages."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name


def folder_graph(graph: Graph, files: Mapping[str, Path]) -> dict[str, set[str]]:
    """The same between folders; a module's folder is the package it lies in."""
    folders: dict[str, set[str]] = {}
    for module, targets in graph.items():
        here = _folder_of(module, files)
        found = {_folder_of(target, files) for target in targets if target not in FRONT}
        if module not in FRONT:
            folders.setdefault(here, set()).update(found - {here})
    return folders


def _folder_of(module: str, files: Mapping[str, Path]) -> str:
    return module if files[module].name == "__init__.py" else module.rpartition(".")[0] or module


def circles(graph: Graph) -> list[list[str]]:
    """Groups of nodes that reach each other (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found


def layer_of(module: str, order: Iterable[str] = ORDER) -> int | None:
    """The position in ORDER of the folder a module lies in; None: in none of them."""
    for position, name in enumerate(order):
        if module == name or module.startswith(f"{name}."):
            return position
    return None


def upward_imports(graph: Graph) -> list[tuple[str, str]]:
    """(importer, imported) for each import of a folder that is later in ORDER."""
    found = []
    for module, targets in sorted(graph.items()):
        here = layer_of(module)
        if module in FRONT or here is None:
            continue
        above = [target for target in targets if target in FRONT or (layer_of(target) or 0) > here]
        found += [(module, target) for target in sorted(above)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="structure.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="name each circle and each upward import")
    args = parser.parse_args()
    files = module_files()
    graph = import_graph(files)
    folders = folder_graph(graph, files)
    file_circles, folder_circles = circles(graph), circles(folders)
    upward = upward_imports(graph)
    print(f"folders           {len({_folder_of(module, files) for module in files}):4}")
    print(f"files             {len(files):4}")
    print(f"circles of files  {len(file_circles):4}")
    print(f"circles of folders{len(folder_circles):4}")
    print(f"upward imports    {len(upward):4}")
    if args.list:
        for group in [*file_circles, *folder_circles]:
            print("circle:", " ".join(group))
        for importer, target in upward:
            print(f"upward: {importer} -> {target}")
    return 1 if file_circles or folder_circles or upward else 0


if __name__ == "__main__":
    sys.exit(main())
