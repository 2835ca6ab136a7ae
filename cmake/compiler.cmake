# One place for what every target of ours is compiled with.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_library(dyad_compiler INTERFACE)
# Contraction of a*b+c into one rounding is chosen in the source (std::fma), never by the compiler:
# results must not depend on how it was optimised.
target_compile_options(dyad_compiler INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Werror;-ffp-contract=off;-fno-omit-frame-pointer>)
target_include_directories(dyad_compiler INTERFACE "${PROJECT_SOURCE_DIR}")
target_link_libraries(dyad_compiler INTERFACE Threads::Threads)

# What makes a memory error end the program instead of something worse, for what is shipped: the
# tests are compiled without optimisation, which _FORTIFY_SOURCE needs.
add_library(dyad_hardening INTERFACE)
if(DYAD_SANITIZE STREQUAL "none")
  target_compile_options(dyad_hardening INTERFACE -fstack-protector-strong -D_GLIBCXX_ASSERTIONS
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_compile_options(dyad_hardening INTERFACE -fcf-protection)
  endif()
  add_link_options(-Wl,-z,relro,-z,now)
endif()

if(NOT DYAD_SANITIZE STREQUAL "none")
  add_compile_definitions(DYAD_SANITIZED)
endif()
if(DYAD_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Counts which branches ran; the programs of tests/fuzz bring the main that looks at it.
    set(DYAD_FUZZING ON)
    add_compile_options(-fsanitize=fuzzer-no-link)
    # For kernels, which read no bytes of strangers: and clang 14 takes minutes for a file of them
    # where it unrolls instrumented loops.
    set(DYAD_UNCOUNTED -fno-sanitize=fuzzer-no-link "SHELL:-mllvm -pragma-unroll-threshold=1" -Wno-pass-failed)
  endif()
elseif(DYAD_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(NOT DYAD_SANITIZE STREQUAL "none")
  message(FATAL_ERROR "DYAD_SANITIZE is ${DYAD_SANITIZE}; it must be none, address or thread")
endif()

find_program(DYAD_LLD ld.lld)
if(DYAD_LLD)
  add_link_options(-fuse-ld=lld)
endif()

find_program(DYAD_CCACHE ccache)
if(DYAD_CCACHE)
  # The sloppiness and -fpch-preprocess are what ccache asks for to cache files that use a
  # precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${DYAD_CCACHE}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()
