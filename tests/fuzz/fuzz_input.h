// What the targets share: inputs in parts, files for code that reads files, and what must hold.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace dyad::testing {

// libFuzzer takes the end of the process for a finding, and keeps the input.
inline void Require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "must hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

inline std::string_view AsText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// `text` cut at `separator` into at most `most` parts; the last one has the rest.
inline std::vector<std::string> Parts(std::string_view text, char separator, size_t most) {
  std::vector<std::string> parts;
  while (parts.size() + 1 < most) {
    const size_t end = text.find(separator);
    if (end == std::string_view::npos) break;
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.emplace_back(text);
  return parts;
}

// A folder of the process, in memory where the system has such a place, removed at its end.
class FuzzFolder {
 public:
  FuzzFolder() {
    std::error_code error;
    const std::filesystem::path memory = "/dev/shm";
    const bool has_memory = std::filesystem::is_directory(memory, error);
    std::string name =
        (has_memory ? memory : std::filesystem::temp_directory_path()) / "dyad_fuzz_XXXXXX";
    Require(mkdtemp(name.data()) != nullptr, "a folder for files can be made");
    path_ = name;
  }
  ~FuzzFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  void Write(const std::string& name, std::string_view content) const {
    std::ofstream file(Path(name), std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  // The file has this content, or is not there.
  void Put(const std::string& name, const std::optional<std::string>& content) const {
    if (content.has_value()) return Write(name, *content);
    unlink(Path(name).c_str());
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

}  // namespace dyad::testing
