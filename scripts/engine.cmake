# How llama.cpp is built for edge_runtime. CMake reads this inside llama-cpp-python's
# project() call; plain variables set here win over the cache entries it forces later.
# Given: EDGE_RUNTIME_BACKEND (cpu, vulkan, metal, cuda) and EDGE_RUNTIME_PORTABLE (ON, OFF).

# llama and mtmd do without llama-common: 57 of 193 build steps, OpenSSL among its needs.
set(LLAMA_BUILD_COMMON OFF)

# One file a library. Wheels hold no links: libggml.so, .so.0 and .so.0.25.3 would be three
# copies, and the process would load two of them, each with a list of devices of its own.
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON)

set(GGML_METAL OFF)
set(GGML_VULKAN OFF)
set(GGML_CUDA OFF)
if(NOT EDGE_RUNTIME_BACKEND STREQUAL "cpu")
  string(TOUPPER "GGML_${EDGE_RUNTIME_BACKEND}" EDGE_RUNTIME_SWITCH)
  set(${EDGE_RUNTIME_SWITCH} ON)
endif()

if(EDGE_RUNTIME_PORTABLE)
  # Any x86-64-v2 (-msse4.2 brings POPCNT and SSSE3) or ARMv8.0, as in a Raspberry Pi 4.
  set(GGML_NATIVE OFF)
  set(GGML_SSE42 ON)
  foreach(extension AVX AVX2 AVX_VNNI AVX512 BMI2 FMA F16C)
    set(GGML_${extension} OFF)
  endforeach()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64" AND NOT APPLE)
    set(GGML_CPU_ARM_ARCH armv8-a)
  endif()
else()
  set(GGML_NATIVE ON)
endif()

# Never AMX: under some hypervisors the first tile instruction (ldtilecfg) is a
# segmentation fault although the processor reports AMX. Older compilers know no AMX.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64|i.86")
  include(CheckCXXCompilerFlag)
  foreach(extension tile int8 bf16)
    check_cxx_compiler_flag(-mno-amx-${extension} EDGE_RUNTIME_KNOWS_AMX_${extension})
    if(EDGE_RUNTIME_KNOWS_AMX_${extension})
      string(APPEND CMAKE_C_FLAGS " -mno-amx-${extension}")
      string(APPEND CMAKE_CXX_FLAGS " -mno-amx-${extension}")
    endif()
  endforeach()
endif()
