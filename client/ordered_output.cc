// Answers in order; see the header. A run that was killed at any moment can be gone on with,
// because only whole answers count and the file is cut behind the last of them.
#include "client/ordered_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Whether the open file is `input`, or lies in that folder.
bool IsPartOf(const std::string& input, int descriptor, const std::string& path) {
  struct stat out, in;
  if (::fstat(descriptor, &out) != 0 || !S_ISREG(out.st_mode)) return false;
  const int missing = input == "-" ? ::fstat(STDIN_FILENO, &in) : ::stat(input.c_str(), &in);
  if (missing != 0) return false;
  if (!S_ISDIR(in.st_mode)) return in.st_dev == out.st_dev && in.st_ino == out.st_ino;
  std::error_code ignored;
  const auto folder = std::filesystem::canonical(input, ignored);
  const auto file = std::filesystem::canonical(path, ignored);
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

// Up to `count` bytes.
void CopyBytes(std::istream& from, int64_t count, std::ostream& to) {
  std::array<char, 1 << 16> buffer;
  while (count > 0 && from && to) {
    from.read(buffer.data(), std::min(count, static_cast<int64_t>(buffer.size())));
    to.write(buffer.data(), from.gcount());
    count -= from.gcount();
  }
}

absl::Status InputIsOutput(const std::string& path, const std::string& input) {
  return absl::FailedPreconditionError(
      absl::StrCat(path == "-" ? "standard output" : path, " is the input, or lies in it (",
                   input == "-" ? "standard input" : input, "); choose another --output"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<OrderedOutput>> OrderedOutput::Open(const std::string& path,
                                                                   std::ostream& standard_output,
                                                                   const std::string& input) {
  auto output = std::unique_ptr<OrderedOutput>(new OrderedOutput);
  output->path_ = path;
  if (path == "-") {
    if (IsPartOf(input, STDOUT_FILENO, "/dev/stdout")) return InputIsOutput(path, input);
    output->out_ = &standard_output;
    return output;
  }
  RETURN_IF_ERROR(output->OpenFile());
  if (IsPartOf(input, output->lock_, path)) return InputIsOutput(path, input);
  return output;
}

absl::Status OrderedOutput::OpenFile() {
  lock_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  struct stat info;
  keeps_ = ::fstat(lock_, &info) == 0 && S_ISREG(info.st_mode);
  // The lock lives as long as the descriptor and dies with the process: no stale lock files.
  if (keeps_ && ::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path_, " is being written by another run"));
  }
  file_ = std::make_unique<std::ofstream>(path_, std::ios::binary | std::ios::app);
  if (!*file_) return absl::PermissionDeniedError(absl::StrCat("cannot write ", path_));
  out_ = file_.get();
  return absl::OkStatus();
}

absl::Status OrderedOutput::GoOn(const ReadOld& read) {
  std::ifstream file(path_, std::ios::binary);
  absl::StatusOr<OldAnswers> old = read(file);
  if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path_));
  if (!old.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, " cannot be gone on with: ", old.status().message(),
                     "; choose another --output, or move the file away"));
  }
  if (::ftruncate(lock_, old->end) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot cut the torn end of ", path_));
  }
  begins_ = std::move(old->begins);
  bytes_ = old->end;
  MutexLock lock(&mutex_);
  next_ = old_answers();
  return absl::OkStatus();
}

absl::Status OrderedOutput::WriteHead(const std::string& head) {
  MutexLock lock(&mutex_);
  *out_ << head;
  out_->flush();
  if (keeps_ && ::fsync(lock_) != 0) out_->setstate(std::ios::badbit);
  bytes_ = static_cast<int64_t>(head.size());
  return Arrived();
}

OrderedOutput::~OrderedOutput() {
  if (lock_ >= 0) ::close(lock_);
}

void OrderedOutput::Put(int64_t number, std::string text) {
  MutexLock lock(&mutex_);
  if (number < old_answers()) {
    replaced_.emplace(number, std::move(text));
    return;
  }
  waiting_.emplace(number, std::move(text));
  bool wrote = false;
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_;
       first = waiting_.erase(first), ++next_) {
    *out_ << first->second;
    wrote = true;
  }
  if (!wrote) return;
  // Answer by answer, so that a kill loses what is in flight and nothing more. The kernel keeps the
  // rest.
  out_->flush();
  written_.SignalAll();
}

void OrderedOutput::AwaitRoom(int64_t number, int64_t window) {
  MutexLock lock(&mutex_);
  while (number >= next_ + window && !stopped_) written_.Wait(&mutex_);
}

void OrderedOutput::Stop() {
  MutexLock lock(&mutex_);
  stopped_ = true;
  written_.SignalAll();
}

absl::Status OrderedOutput::written() {
  MutexLock lock(&mutex_);
  return Arrived();
}

absl::Status OrderedOutput::Arrived() const {
  if (*out_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("cannot write to ",
                                          path_ == "-" ? "standard output" : path_,
                                          ": not all answers have arrived"));
}

absl::Status OrderedOutput::Finish() {
  MutexLock lock(&mutex_);
  out_->flush();
  RETURN_IF_ERROR(Arrived());
  return replaced_.empty() ? absl::OkStatus() : WriteReplaced();
}

absl::Status OrderedOutput::WriteReplaced() {
  std::error_code error;
  // A link stays one.
  const std::string target = std::filesystem::canonical(path_, error).string();
  std::string copy = absl::StrCat(target, ".XXXXXX");
  const int descriptor = error ? -1 : ::mkostemp(copy.data(), O_CLOEXEC);
  struct stat info;
  bool good =
      descriptor >= 0 && ::fstat(lock_, &info) == 0 && ::fchmod(descriptor, info.st_mode) == 0;
  if (good) {
    std::ifstream old(target, std::ios::binary);
    std::ofstream fresh(copy, std::ios::binary);
    int64_t at = 0;
    for (const auto& [number, text] : replaced_) {
      const auto place = static_cast<size_t>(number);
      CopyBytes(old, begins_[place] - at, fresh);
      fresh << text;
      at = place + 1 < begins_.size() ? begins_[place + 1] : bytes_;
      old.seekg(at);
    }
    CopyBytes(old, std::numeric_limits<int64_t>::max(), fresh);
    fresh.close();
    good = !old.bad() && fresh && ::fsync(descriptor) == 0 &&
           ::rename(copy.c_str(), target.c_str()) == 0;
  }
  if (descriptor >= 0) ::close(descriptor);
  if (good) return absl::OkStatus();
  if (descriptor >= 0) ::unlink(copy.c_str());
  return absl::DataLossError(absl::StrCat(path_, " keeps its old errors: no copy with the ",
                                          replaced_.size(), " new answers could be written"));
}

}  // namespace dyad::client
