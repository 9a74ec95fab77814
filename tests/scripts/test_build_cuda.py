"""Decisions of the build scripts for CUDA. Driver and compiler are stand-ins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.places import ROOT

sys.path.append(str(ROOT / "scripts"))

import build_cuda
import build_engine
import build_tools

REQUEST = build_engine.EngineRequest("0.3.36", "cuda", portable=False)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hopper GPU, and CUDA in NVIDIA's usual place, off PATH."""
    for name in (*build_cuda._ENVIRONMENT, *build_engine._ENVIRONMENT):
        monkeypatch.delenv(name, raising=False)
    nvcc = tmp_path / "cuda/bin/nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
    nvcc.chmod(0o755)
    (tmp_path / "cuda/lib64").mkdir()
    (tmp_path / "cuda/lib64/libcudart.so.13").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(build_cuda, "_USUAL_NVCC", str(nvcc))
    monkeypatch.setattr(build_cuda, "_gpu_architectures", lambda: ("90-real",))
    monkeypatch.setattr(build_engine, "compiler_digest", lambda: "compiler")
    build_cuda.nvcc_version.cache_clear()


def test_nvcc_off_path_is_handed_to_cmake_with_its_libraries(tmp_path: Path) -> None:
    environment = build_engine._build_environment(REQUEST, tmp_path)
    assert environment["CUDACXX"] == f"{tmp_path}/cuda/bin/nvcc"
    assert environment["LDFLAGS"] == f"-Wl,-rpath,{tmp_path}/cuda/lib64"
    assert '"-DCMAKE_CUDA_ARCHITECTURES=90-real"' in environment["CMAKE_ARGS"]
    assert build_cuda.nvcc_version() == "13.0.88"


def test_no_gpu_and_no_choice_is_said_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_cuda, "_gpu_architectures", lambda: ())
    with pytest.raises(build_tools.SetUpError, match=r"no NVIDIA GPU .* CUDAARCHS=87 .* --portable"):
        build_engine.build_wheel(REQUEST, tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "chosen"),
    [("CUDAARCHS", "87", "87"), ("CMAKE_ARGS", "-DCMAKE_CUDA_ARCHITECTURES=90", "")],
)
def test_choice_of_architecture_is_kept(
    name: str, value: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert build_cuda.cuda_architectures(portable=False) == chosen
    assert build_cuda.cuda_architectures(portable=True) == ""


def test_wheel_is_for_one_gpu_and_one_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    hopper, toolkit = REQUEST.digest(), build_engine._compilers_digest(REQUEST)
    monkeypatch.setattr(build_cuda, "_gpu_architectures", lambda: ("87-real",))
    assert REQUEST.digest() != hopper
    monkeypatch.setattr(build_engine, "nvcc_version", lambda: "12.9.86")
    assert build_engine._compilers_digest(REQUEST) != toolkit
    monkeypatch.setattr(build_engine, "nvcc_version", lambda: None)
    assert build_engine._compilers_digest(REQUEST) is None
