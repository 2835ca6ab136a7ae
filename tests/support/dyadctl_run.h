// Runs a dyadctl command inside the test, and temporary files for it.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "client/dyadctl.h"
#include "gtest/gtest.h"

namespace dyad::testing {

struct DyadctlRun {
  int status;
  std::string out;
  std::string err;
};

inline DyadctlRun RunDyadctl(const std::vector<std::string>& words, const std::string& in = "") {
  std::istringstream input(in);
  std::ostringstream out, err;
  const int status = client::RunDyadctl(words, {.in = input, .out = out, .err = err});
  return {status, out.str(), err.str()};
}

// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dyad_test_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string Path(const std::string& name) const { return (path_ / name).string(); }
  std::string Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

 private:
  std::filesystem::path path_;
};

}  // namespace dyad::testing
