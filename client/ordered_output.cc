// Answers in order; see the header. A run that was killed at any moment can be gone on with,
// because only whole lines count and the file is cut behind the last of them.
#include "client/ordered_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
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

absl::Status OrderedOutput::GoOn(const OldAnswers& old) {
  if (!keeps_) return absl::OkStatus();
  std::ifstream file(path_, std::ios::binary);
  int64_t lines = 0;
  int64_t bytes = 0;  // of those lines, line feeds included
  for (std::string line; std::getline(file, line);) {
    absl::Status taken;
    if (!file.eof()) {
      taken = old.take(line);
    } else if (lines > 0 || old.may_begin(line)) {
      break;  // torn: no line feed at its end
    } else {
      taken = absl::FailedPreconditionError("it holds something that is no answer of this run");
    }
    if (!taken.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_, " cannot be gone on with: ", taken.message(),
                       "; choose another --output, or move the file away"));
    }
    ++lines;
    bytes += static_cast<int64_t>(line.size()) + 1;
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path_));
  if (::ftruncate(lock_, bytes) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot cut the torn end of ", path_));
  }
  MutexLock lock(&mutex_);
  old_lines_ = next_ = lines;
  return absl::OkStatus();
}

OrderedOutput::~OrderedOutput() {
  if (lock_ >= 0) ::close(lock_);
}

void OrderedOutput::Put(int64_t number, std::string line) {
  MutexLock lock(&mutex_);
  if (number < old_lines_) {
    replaced_.emplace(number, std::move(line));
    return;
  }
  waiting_.emplace(number, std::move(line));
  bool wrote = false;
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_;
       first = waiting_.erase(first), ++next_) {
    *out_ << first->second << '\n';
    wrote = true;
  }
  if (!wrote) return;
  // Line by line, so that a kill loses what is in flight and nothing more. The kernel keeps the
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
    int64_t number = 0;
    for (std::string line; std::getline(old, line); ++number) {
      const auto replaced = replaced_.find(number);
      fresh << (replaced == replaced_.end() ? line : replaced->second) << '\n';
    }
    fresh.close();
    good = number == next_ && fresh && ::fsync(descriptor) == 0 &&
           ::rename(copy.c_str(), target.c_str()) == 0;
  }
  if (descriptor >= 0) ::close(descriptor);
  if (good) return absl::OkStatus();
  if (descriptor >= 0) ::unlink(copy.c_str());
  return absl::DataLossError(absl::StrCat(path_, " keeps its old errors: no copy with the ",
                                          replaced_.size(), " new answers could be written"));
}

}  // namespace dyad::client
