// Entries that are there and cannot be read.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace dyad::testing {

struct Unreadable {
  const char* name;
  const char* reason;  // the system's
  void (*make)(const std::filesystem::path& path);
};

inline constexpr Unreadable kUnreadable[] = {
    {"dangling", "No such file or directory",
     [](const std::filesystem::path& path) {
       std::filesystem::create_symlink("../blobs/gone", path);
     }},
    {"looping", "Too many levels of symbolic links",
     [](const std::filesystem::path& path) {
       std::filesystem::create_symlink(path.filename(), path);
     }},
    {"forbidden", "Permission denied",
     [](const std::filesystem::path& path) {
       std::filesystem::create_symlink("no_rights/file", path);
       std::filesystem::create_directory(path.parent_path() / "no_rights");
       std::filesystem::permissions(path.parent_path() / "no_rights", {});
     }},
};

// As the user nobody, if the test runs as root, whom permissions do not bind.
class WithoutRights {
 public:
  WithoutRights() : user_(geteuid()) {
    if (user_ == 0 && seteuid(65534) != 0) std::abort();
  }
  ~WithoutRights() {
    if (seteuid(user_) != 0) std::abort();
  }

 private:
  uid_t user_;
};

}  // namespace dyad::testing
