// A read-only file in memory, without reading it before it is used.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dyad {

// Owns one private, read-only mapping. Immutable; any thread.
//
// The bytes are the file's: whoever truncates the file while it is mapped makes a later read of
// them raise SIGBUS and end the process. Loading therefore copies what it keeps, and mappings live
// only as long as loading does; do not replace checkpoint files in place while a server starts.
class MappedFile {
 public:
  // Maps folder/name. The name must stay in the folder: no '/' in it, not "." or "..". A symbolic
  // link is followed (model caches are made of them); anything but a regular file is refused.
  // Errors: those of OpenFile (server/base/file.h), and the system's of mapping; each names the
  // file.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& folder,
                                                          std::string_view name);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& name() const { return name_; }

  // Drops the whole pages inside `part` from this process's resident memory; they can still be read
  // (the kernel fetches them again). A part outside the mapping is ignored.
  void Release(std::span<const std::byte> part) const;

 private:
  MappedFile(std::string name, std::span<const std::byte> bytes);
  const std::string name_;
  const std::span<const std::byte> bytes_;
};

// InvalidArgument unless `name` is the plain name of a file: not empty, no '/', no NUL, not "." or
// "..".
absl::Status CheckPlainFileName(std::string_view name);

}  // namespace dyad
