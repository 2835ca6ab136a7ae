// libarchive with the system's reasons in front of its own.
#include "client/packed_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr size_t kBlockBytes = 1 << 16;

}  // namespace

void PackedFile::CloseFile::operator()(const int* descriptor) const {
  close(*descriptor);
  delete descriptor;
}

void PackedFile::FreeArchive::operator()(archive* reader) const { archive_read_free(reader); }

absl::StatusOr<PackedFile> PackedFile::Open(const std::string& path, Packing packing) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  PackedFile file;
  file.path_ = path;
  file.file_.reset(new int(descriptor));
  struct stat info;
  if (fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder; expected a file"));
  }
  file.reader_.reset(archive_read_new());
  archive* reader = file.reader_.get();
  archive_read_support_format_raw(reader);
  archive_read_support_format_empty(reader);
  archive_read_support_filter_gzip(reader);
  if (packing == Packing::kArchive) {
    // Not all that there are: some of them start a program, for bytes that are anybody's.
    archive_read_support_filter_bzip2(reader);
    archive_read_support_filter_xz(reader);
    archive_read_support_filter_zstd(reader);
    archive_read_support_format_tar(reader);
    archive_read_support_format_zip(reader);
  }
  if (archive_read_open_fd(reader, descriptor, kBlockBytes) != ARCHIVE_OK) return file.Fault();
  return file;
}

absl::StatusOr<std::optional<std::string>> PackedFile::NextFile() {
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader_.get(), &entry);
    if (status == ARCHIVE_EOF) return std::nullopt;
    // A torn archive ends by an error here, never by a silent end of file.
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return Fault();
    const int format = archive_format(reader_.get());
    if (format == ARCHIVE_FORMAT_RAW) return std::filesystem::path(path_).filename().string();
    if (archive_entry_filetype(entry) == AE_IFDIR) continue;
    const char* name = archive_entry_pathname(entry);
    // In a locale that has no word for it.
    if (name == nullptr) name = archive_entry_pathname_utf8(entry);
    if (name == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ": a file inside has no name"));
    }
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": ", name, " inside is a link or device; unpack it to a folder"));
    }
    return name;
  }
}

bool PackedFile::is_archive() const { return archive_format(reader_.get()) != ARCHIVE_FORMAT_RAW; }

absl::StatusOr<size_t> PackedFile::Read(std::span<char> buffer) {
  const la_ssize_t count = archive_read_data(reader_.get(), buffer.data(), buffer.size());
  if (count < 0) return Fault();
  return static_cast<size_t>(count);
}

absl::Status PackedFile::Fault() const {
  const int number = archive_errno(reader_.get());
  // Other numbers are libarchive's own.
  if (number == EIO || number == EISDIR || number == EACCES) {
    return absl::ErrnoToStatus(number, absl::StrCat("cannot read ", path_));
  }
  const char* text = archive_error_string(reader_.get());
  return absl::InvalidArgumentError(absl::StrCat(path_, ": cannot be read or unpacked (",
                                                 text != nullptr ? text : "unknown fault", ")"));
}

}  // namespace dyad::client
