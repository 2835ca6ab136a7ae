// Files as a user has them, plain or packed: text, gzip, tar and zip. Reading is libarchive's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct archive;

namespace dyad::client {

// What a file may be. kText: text, also compressed with gzip. kArchive: that, or a tar or zip
// archive; either may be compressed with gzip, bzip2, xz or zstd. No other program is started.
enum class Packing { kText, kArchive };

// One thread.
class PackedFile {
 public:
  // Pipes are read as they are. Errors: the system's, naming the path; InvalidArgument for a
  // folder.
  static absl::StatusOr<PackedFile> Open(const std::string& path, Packing packing);

  // The next file inside: a text is one file, under its own name. Nothing at the end.
  // Errors: InvalidArgument (broken, or a link inside an archive, which leads nowhere), naming the
  // path; the system's.
  absl::StatusOr<std::optional<std::string>> NextFile();

  // Whether that file lies in an archive.
  bool is_archive() const;

  // The next bytes of that file; 0 at its end. Errors: as NextFile.
  absl::StatusOr<size_t> Read(std::span<char> buffer);

 private:
  struct CloseFile {
    void operator()(const int* descriptor) const;
  };
  struct FreeArchive {
    void operator()(archive* reader) const;
  };
  absl::Status Fault() const;

  std::string path_;
  std::unique_ptr<int, CloseFile> file_;
  std::unique_ptr<archive, FreeArchive> reader_;
};

}  // namespace dyad::client
