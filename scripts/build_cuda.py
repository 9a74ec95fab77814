"""Settings of a CUDA build: the compiler, the GPU's architecture, the libraries."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

_USUAL_NVCC = "/usr/local/cuda/bin/nvcc"  # NVIDIA's installers put it there, on no PATH
_ENVIRONMENT = ("CUDACXX", "CUDAFLAGS", "CUDAHOSTCXX", "CUDAARCHS")  # what CMake reads
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # source: cuda.h, CUdevice_attribute


def find_nvcc() -> str | None:
    """CUDACXX, else what is on PATH, else NVIDIA's usual place."""
    given = os.environ.get("CUDACXX", "").split()  # options may follow
    places = (given[0],) if given else ("nvcc", _USUAL_NVCC)
    return next((found for place in places if (found := shutil.which(place))), None)


@lru_cache
def nvcc_version() -> str | None:
    """'13.0.88': the wheel needs that toolkit's libraries. None without a working nvcc."""
    nvcc = find_nvcc()
    if nvcc is None:
        return None
    shown = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\bV(\d[\d.]+)", shown.stdout)
    return found[1] if shown.returncode == 0 and found else None


def cuda_key(portable: bool) -> list[str]:
    """What else decides what a CUDA wheel contains, the compiler's version aside."""
    settings = [f"{name}={os.environ.get(name, '')}" for name in _ENVIRONMENT]
    return [*settings, cuda_architectures(portable) or ""]


def cuda_architectures(portable: bool) -> str | None:
    """For CMAKE_CUDA_ARCHITECTURES: "87-real". "": llama.cpp's own choice. None: nothing says.

    CMake's "native", llama.cpp's choice on the machine itself, fails where no GPU can
    be seen, as in most container builds, and would leave the GPU out of the cache's key.
    """
    if portable or "CMAKE_CUDA_ARCHITECTURES" in os.environ.get("CMAKE_ARGS", ""):
        return ""
    return os.environ.get("CUDAARCHS") or ";".join(_gpu_architectures()) or None


@lru_cache
def _gpu_architectures() -> tuple[str, ...]:
    """Of the GPUs here, as the driver says; nvidia-smi is missing on a Jetson."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    found = set()
    for index in range(count.value):
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
        driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
        found.add(f"{major.value}{minor.value}-real")
    return tuple(sorted(found))


def cuda_definitions(portable: bool) -> dict[str, str]:
    """For CMake. NCCL off: it serves several GPUs, and is linked wherever it is found."""
    architectures = cuda_architectures(portable)
    chosen = {"CMAKE_CUDA_ARCHITECTURES": architectures} if architectures else {}
    return {"GGML_CUDA_NCCL": "OFF", **chosen}


def cuda_environment() -> dict[str, str]:
    """For the build: CMake itself looks for nvcc on PATH alone.

    And the libraries' folder for the loader: CMake leaves it out of the run path as one
    that nvcc links from anyway, but not every installation tells ld.so of it.
    """
    nvcc = find_nvcc()
    if nvcc is None:
        return {}
    libraries = Path(nvcc).resolve().parent.parent / "lib64"
    run_path = f" -Wl,-rpath,{libraries}" if any(libraries.glob("libcudart.so*")) else ""
    compiler = os.environ.get("CUDACXX") or nvcc
    return {"CUDACXX": compiler, "LDFLAGS": (os.environ.get("LDFLAGS", "") + run_path).strip()}
