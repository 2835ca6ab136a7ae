// Where tests find their data.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace dyad::testing {

// Golden and malformed checkpoints, unpacked from tests/fixtures at configure time.
inline std::filesystem::path FixturesDir() { return DYAD_FIXTURES_DIR; }

// The demonstration model, part of the repository.
inline std::filesystem::path DemoModelDir() {
  return std::filesystem::path(DYAD_SOURCE_DIR) / "deploy" / "demo_model";
}

// Binaries built from this tree: dyad-server, dyadctl, dyad-bench.
inline std::filesystem::path BinDir() { return std::filesystem::path(DYAD_BINARY_DIR) / "bin"; }

// Third-party data that is not part of the repository (real tokenizers, golden vectors, BLiMP).
// Tests that use it call GTEST_SKIP with a reason where it is absent. Override: environment
// variable DYAD_SHARED_DIR.
inline std::filesystem::path SharedDir() {
  const char* dir = std::getenv("DYAD_SHARED_DIR");
  return dir != nullptr ? std::filesystem::path(dir)
                        : std::filesystem::path(DYAD_SOURCE_DIR).parent_path() / "shared";
}

}  // namespace dyad::testing
