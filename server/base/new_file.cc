// open with O_EXCL, write until all is written, fsync.
#include "server/base/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

absl::Status NewFileError(int number, std::string_view path, std::string_view what) {
  return absl::ErrnoToStatus(number, Text(Quoted(path), ": cannot ", what));
}

}  // namespace

absl::StatusOr<NewFile> NewFile::Create(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) return NewFileError(errno, path.string(), "create it");
  return NewFile(descriptor, path.string());
}

NewFile::NewFile(NewFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

NewFile::~NewFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status NewFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return NewFileError(errno, path_, "write it");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status NewFile::Write(std::string_view text) { return Write(std::as_bytes(std::span(text))); }

absl::Status NewFile::Close() {
  const int descriptor = std::exchange(descriptor_, -1);
  const int synced = fsync(descriptor) == 0 ? 0 : errno;
  if (close(descriptor) != 0) return NewFileError(errno, path_, "close it");
  // EINVAL: of a kind that is on no disk.
  if (synced != 0 && synced != EINVAL) return NewFileError(synced, path_, "write it");
  return absl::OkStatus();
}

absl::Status WriteNewFile(const std::filesystem::path& path, std::string_view text) {
  ASSIGN_OR_RETURN(NewFile file, NewFile::Create(path));
  RETURN_IF_ERROR(file.Write(text));
  return file.Close();
}

}  // namespace dyad
