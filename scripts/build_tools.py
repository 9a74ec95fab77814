"""The compilers and tools that building llama.cpp takes, and how to get a missing one."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from build_cuda import find_nvcc


class SetUpError(Exception):
    """One line for the person at the terminal: what is wrong and what to do."""


@dataclass(frozen=True)
class Tool:
    name: str
    present: bool
    debian: str  # packages for apt
    macos: str  # a command


def require_build_tools(backend: str) -> None:
    """Raises SetUpError, in one line, for everything that is missing."""
    missing = [tool for tool in _tools(backend) if not tool.present]
    if not missing:
        return
    what = " and ".join(tool.name for tool in missing)
    debian = " ".join(tool.debian for tool in missing)
    macos = " && ".join(tool.macos for tool in missing)
    raise SetUpError(
        f"building llama.cpp needs {what}; "
        f"install with: sudo apt install {debian} (Debian), or {macos} (macOS)"
    )


def _tools(backend: str) -> list[Tool]:
    compiler = compiler_digest() is not None
    tools = [
        Tool("a C and C++ compiler", compiler, "build-essential", "xcode-select --install"),
        Tool("CMake", _present("cmake"), "cmake", "brew install cmake"),
    ]
    if backend == "vulkan":
        brew = "brew install vulkan-loader vulkan-headers shaderc spirv-headers"
        tools.append(Tool("Vulkan's glslc", _present("glslc"), "libvulkan-dev glslc spirv-headers", brew))
    if backend == "cuda":
        tools.append(
            Tool("CUDA's nvcc", find_nvcc() is not None, "nvidia-cuda-toolkit", "EDGE_RUNTIME_BACKEND=metal")
        )
    return tools


def _present(program: str) -> bool:
    return shutil.which(program) is not None


@lru_cache
def compiler_digest() -> str | None:
    """Changes with the compilers that CMake would choose. None when one of the two is missing."""
    versions = [
        _compiler_version(os.environ.get("CC"), "cc", "gcc", "clang"),
        _compiler_version(os.environ.get("CXX"), "c++", "g++", "clang++"),
    ]
    known = [version for version in versions if version is not None]
    return short_digest(known) if len(known) == len(versions) else None


def _compiler_version(override: str | None, *names: str) -> str | None:
    for name in (override,) if override else names:
        command = shutil.which(name.split()[0])
        if command is None:
            continue
        # macOS has a stub for `cc` that fails until the command line tools are there.
        shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
        if shown.returncode == 0:
            return shown.stdout.partition("\n")[0]
    return None


def short_digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
