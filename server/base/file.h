// Files and folders that a user names. What is absent, what cannot be read and what is something
// else are told apart, and messages say what to do. Nothing here throws or waits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dyad {

// Whether the folder has an entry of that name. A link counts wherever it leads: who opens it
// learns why it cannot be followed. Errors: the system's, as of a folder without rights.
absl::StatusOr<bool> HasEntry(const std::filesystem::path& path);

// A regular file, open for reading.
class OpenFile {
 public:
  // Errors: the system's (NotFound where there is no such entry); InvalidArgument where it is no
  // regular file, or what a failed download leaves. Messages begin with the file's name, without
  // its folder.
  static absl::StatusOr<OpenFile> Open(const std::filesystem::path& path);
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&&) = delete;
  ~OpenFile();

  int descriptor() const { return descriptor_; }
  int64_t bytes() const { return bytes_; }  // when it was opened

 private:
  OpenFile(int descriptor, int64_t bytes) : descriptor_(descriptor), bytes_(bytes) {}

  int descriptor_;
  int64_t bytes_;
};

// All of a file of at most `max_bytes`. Errors: those of OpenFile; InvalidArgument if it is larger.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, int64_t max_bytes);

// OK for a model's folder. Errors: NotFound, InvalidArgument or the system's. They tell a hub's
// name of a model, a hub's cache and a file from a folder, and say which to give.
absl::Status CheckModelFolder(const std::string& folder);

}  // namespace dyad
