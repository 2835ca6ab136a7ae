// symlink_status, then open, then errno.
#include "server/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;

std::string NameOf(const fs::path& path) {
  return path.has_filename() ? path.filename().string() : path.string();
}

absl::Status SystemError(int number, const fs::path& path, std::string_view what) {
  std::string message = Text(Quoted(NameOf(path)), ": cannot ", what);
  std::error_code ignored;
  if (fs::is_symlink(fs::symlink_status(path, ignored))) {
    const fs::path target = fs::read_symlink(path, ignored);
    message += Text(", a link to ", Quoted(target.string()));
  }
  return absl::ErrnoToStatus(number, message);
}

// What stands in a file's place when a download brought something else.
absl::Status CheckDownloaded(const fs::path& path, int descriptor) {
  std::array<char, 64> buffer;
  const ssize_t count = pread(descriptor, buffer.data(), buffer.size(), 0);
  if (count < 0) return SystemError(errno, path, "read");
  const std::string begin = absl::AsciiStrToLower(
      absl::StripLeadingAsciiWhitespace({buffer.data(), static_cast<size_t>(count)}));
  if (begin.starts_with("version https://git-lfs")) {
    return absl::InvalidArgumentError(Text(Quoted(NameOf(path)),
                                           ": is a Git LFS pointer, not the file that it stands "
                                           "for; run 'git lfs pull' in its folder"));
  }
  if (begin.starts_with("<!doctype html") || begin.starts_with("<html")) {
    return absl::InvalidArgumentError(
        Text(Quoted(NameOf(path)),
             ": is a web page, not the file that its name promises; download the file itself"));
  }
  return absl::OkStatus();
}

// As hubs write names of models: ORGANISATION/MODEL.
bool LooksLikeHubName(std::string_view text) {
  return std::count(text.begin(), text.end(), '/') == 1 && text.front() != '/' &&
         text.back() != '/' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '/' ||
                              c == '-' || c == '_' || c == '.';
                     }) &&
         !text.starts_with(".");
}

// One of the folders in `folder`, to name it in a message; "REVISION" where there is none.
std::string AnyEntry(const fs::path& folder) {
  std::error_code error;
  const fs::directory_iterator first(folder, error);
  return error || first == fs::directory_iterator() ? "REVISION" : NameOf(first->path());
}

}  // namespace

absl::StatusOr<bool> HasEntry(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return false;
  if (!error) return true;
  return absl::ErrnoToStatus(error.value(), Text(Quoted(path.string()), ": cannot look for it"));
}

absl::StatusOr<OpenFile> OpenFile::Open(const fs::path& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return SystemError(errno, path, "open");
  OpenFile file(descriptor, 0);
  struct stat status;
  if (fstat(descriptor, &status) != 0) return SystemError(errno, path, "stat");
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(
        Text(Quoted(NameOf(path)), ": is not a regular file, expected one"));
  }
  file.bytes_ = status.st_size;
  RETURN_IF_ERROR(CheckDownloaded(path, descriptor));
  return file;
}

OpenFile::OpenFile(OpenFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), bytes_(other.bytes_) {}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::StatusOr<std::string> ReadFile(const fs::path& path, int64_t max_bytes) {
  ASSIGN_OR_RETURN(const OpenFile file, OpenFile::Open(path));
  if (file.bytes() > max_bytes) {
    return absl::InvalidArgumentError(Text(Quoted(NameOf(path)), ": has ", file.bytes(),
                                           " bytes; at most ", max_bytes, " are read"));
  }
  std::string content(static_cast<size_t>(file.bytes()), '\0');
  for (size_t done = 0; done < content.size();) {
    const ssize_t count =
        pread(file.descriptor(), &content[done], content.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(errno, path, "read");
    if (count == 0) {
      return absl::DataLossError(Text(Quoted(NameOf(path)), ": was cut while it was read"));
    }
    done += static_cast<size_t>(count);
  }
  return content;
}

absl::Status CheckModelFolder(const std::string& folder) {
  struct stat status;
  if (stat(folder.c_str(), &status) != 0) {
    const int number = errno;
    const fs::path path(folder);
    ASSIGN_OR_RETURN(const bool is_link, HasEntry(path));
    if (number != ENOENT || is_link) return SystemError(number, path, "open the folder");
    if (!LooksLikeHubName(folder)) {
      return absl::NotFoundError(Text(Quoted(folder), ": no such folder"));
    }
    return absl::NotFoundError(
        Text(Quoted(folder), ": no such folder; if it is the name of a model on the Hugging Face ",
             "hub, download it first: hf download ", folder, " --local-dir FOLDER"));
  }
  if (!S_ISDIR(status.st_mode)) {
    const std::string parent = fs::path(folder).parent_path().string();
    return absl::InvalidArgumentError(Text(Quoted(folder),
                                           ": is a file; expected the folder of it, ",
                                           Quoted(parent.empty() ? "." : parent)));
  }
  const fs::path path(folder);
  ASSIGN_OR_RETURN(const bool has_config, HasEntry(path / "config.json"));
  ASSIGN_OR_RETURN(const bool has_snapshots, HasEntry(path / "snapshots"));
  if (has_config || !has_snapshots) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Text(Quoted(folder), ": is a cache folder of the Hugging Face hub; expected one below it, ",
           Quoted((path / "snapshots" / AnyEntry(path / "snapshots")).string())));
}

}  // namespace dyad
