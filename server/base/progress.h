// How far a batch is: one line that is drawn over and over on a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "server/base/console.h"
#include "server/base/mutex.h"

namespace dyad {

struct ProgressState {
  std::string unit = "lines";  // what is counted
  int64_t done = 0;            // skipped ones included
  // Were done before this run: they do not count for the rate.
  int64_t skipped = 0;
  // Nothing: not known (standard input), then neither bar nor ETA.
  std::optional<int64_t> total = {};
  absl::Duration elapsed = {};
};

// "1234/67000 pairs [==>     ]  1.8 %  812.3 pairs/s  ETA 1:21", without line feed.
std::string FormatProgress(const ProgressState& state);

// "59 s" as 0:59, then 12:03 and 1:02:03; rounded to seconds.
std::string MinutesAndSeconds(absl::Duration duration);

// Draws at most ten times a second, and nothing at all if `screen` is no terminal.
// Threads: any number may call Add.
class Progress {
 public:
  // `start` holds unit, skipped and total. `out` must outlive this.
  Progress(std::ostream& out, Screen screen, ProgressState start);
  // Ends the line, if one was drawn.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Add(int64_t count);
  // Counted so far, with the time since the start.
  ProgressState State() const;

 private:
  void Draw() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ProgressState Now() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::ostream& out_;
  const Screen screen_;
  const absl::Time start_;
  mutable Mutex mutex_;
  ProgressState state_ ABSL_GUARDED_BY(mutex_);
  absl::Time drawn_ ABSL_GUARDED_BY(mutex_);
  // Of what was drawn last: a shorter line must cover it.
  size_t width_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace dyad
