#!/usr/bin/env bash
# Runs all tests, from a bare clone: installs the packages, then builds and tests in three stages.
#   asan     every test program, and fuzzing of what reads bytes of strangers, under AddressSanitizer and
#            UndefinedBehaviorSanitizer
#   tsan     what has threads of its own, under ThreadSanitizer
#   release  what computes, optimised, and everything that drives whole programs
# One stage alone: tests/run.sh STAGE.
set -euo pipefail
cd "$(dirname "$0")/.."

stages=("$@")
((${#stages[@]})) || stages=(asan tsan release)  # release last: its summary is the last line printed

./deploy/install_deps.sh
mkdir -p build
for stage in "${stages[@]}"; do
  echo "== $stage: build"
  cmake --preset "$stage" >"build/configure-$stage.log" 2>&1 || {
    cat "build/configure-$stage.log" >&2
    exit 1
  }
  case "$stage" in
    asan) cmake --build --preset asan --target asan_tests fuzz_tests ;;
    release | tsan) cmake --build --preset "$stage" --target "${stage}_tests" ;;
    *) echo "tests/run.sh: unknown stage $stage; asan, tsan or release" >&2; exit 2 ;;
  esac
  echo "== $stage: test"
  case "$stage" in
    release) ctest --preset release -LE asan_alone --parallel 2 ;;
    asan) ctest --preset asan -L "asan_tests|fuzz_tests" --parallel 2 ;;
    tsan) ctest --preset tsan -L tsan_tests --parallel 2 ;;
  esac
  # What a program left out: no failure, but no result either.
  awk -v stage="$stage" '/: Skipped$/ { getline reason }
    /^\[  SKIPPED \] .* ms\)$/ { print stage ": skipped " $4 ": " reason }' \
    "build/$stage/Testing/Temporary/LastTest.log"
done
