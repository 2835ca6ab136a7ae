// The answers of a batch, put back in the order of their lines; a file can be gone on with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/mutex.h"

namespace dyad::client {

// Threads: any number may call Put, AwaitRoom and Stop.
class OrderedOutput {
 public:
  // Opens the file at `path`; "-" is `standard_output`. `input` is what the run reads: a file, a
  // folder, "-" for standard input, empty for none of them.
  // Errors: NotFound or PermissionDenied naming the path; FailedPrecondition if another run writes
  // the same file now, or if it is the input, by whatever name, or lies in it.
  static absl::StatusOr<std::unique_ptr<OrderedOutput>> Open(const std::string& path,
                                                             std::ostream& standard_output,
                                                             const std::string& input);
  ~OrderedOutput();

  // Whether answers can be found here later: not in devices, pipes and standard output.
  bool keeps() const { return keeps_; }

  // What a file has of a run.
  struct OldAnswers {
    std::vector<int64_t> begins = {};  // the byte where each answer begins
    int64_t end = 0;                   // behind the last whole one
  };
  // Reads a file from its beginning. An error says why it is not the run's.
  using ReadOld = std::function<absl::StatusOr<OldAnswers>(std::istream& file)>;

  // Goes on with what the file has: what stands behind `end`, as a killed run may leave it, is cut
  // off. REQUIRES: keeps(), before Put.
  // Errors: FailedPrecondition, naming the path, with those of `read`; the file is as it was then.
  absl::Status GoOn(const ReadOld& read);

  // Whether nothing is there yet: WriteHead may come first.
  bool empty() const { return bytes_ == 0; }

  // What stands in front of all answers, with its line feed; on disk when this returns.
  // Errors: as Finish.
  absl::Status WriteHead(const std::string& head);

  // Answers that were in the file already: the first number to be answered.
  int64_t old_answers() const { return static_cast<int64_t>(begins_.size()); }

  // Takes the answer of line `number` (0-based), as it is to be written, and writes all answers
  // that are next in order. Each number from old_answers() on once; one before it replaces an old
  // answer, when Finish is called.
  void Put(int64_t number, std::string text);

  // Whether all that was written so far has arrived. Errors: as Finish.
  absl::Status written();

  // Waits until line `number` is fewer than `window` lines ahead of the first unwritten one: bounds
  // what Put has to hold. After Stop it does not wait.
  void AwaitRoom(int64_t number, int64_t window);

  // Some line will get no answer.
  void Stop();

  // Whether everything was written, replaced answers too: they change a copy that takes the file's
  // place, so that a kill leaves the one or the other. Errors: DataLoss (a full disk, mostly)
  // naming the path.
  absl::Status Finish();

 private:
  absl::Status Arrived() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  OrderedOutput() = default;
  absl::Status OpenFile();
  absl::Status WriteReplaced() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string path_;
  std::ostream* out_ = nullptr;
  std::unique_ptr<std::ostream> file_;
  int lock_ = -1;  // descriptor that holds the file's lock
  bool keeps_ = false;
  std::vector<int64_t> begins_;  // of old answers
  int64_t bytes_ = 0;            // of the file, when it was gone on with

  Mutex mutex_;
  CondVar written_;
  std::map<int64_t, std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::string> replaced_ ABSL_GUARDED_BY(mutex_);  // of the old answers
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dyad::client
