// Files that a program writes: new ones only, nothing is ever written over.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dyad {

// Messages begin with the file's whole path: it may be one of many that a run writes.
class NewFile {
 public:
  // Errors: AlreadyExists, also where the name is a link; the system's.
  static absl::StatusOr<NewFile> Create(const std::filesystem::path& path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  // Errors: the system's; ResourceExhausted where the disk is full.
  absl::Status Write(std::span<const std::byte> bytes);
  absl::Status Write(std::string_view text);
  // After this the bytes are on the disk. Errors: the system's.
  absl::Status Close();

 private:
  NewFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

  int descriptor_;
  std::string path_;
};

// One file of `text`. Errors: those of NewFile.
absl::Status WriteNewFile(const std::filesystem::path& path, std::string_view text);

}  // namespace dyad
