// Bounds what waits to be written to clients that do not read: in all, by connection, and in time.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace dyad {

// Reason of the ErrorInfo of what is refused because too much waits; it comes with RetryInfo.
inline constexpr char kUnreadAnswers[] = "UNREAD_ANSWERS";

// The account of all calls of a server. Threads: any; one of its own gives calls up.
class UnreadAnswers {
 public:
  struct Limits {
    // In all. A connection may have a quarter of it.
    int64_t bytes = 0;
    // A call of whose waiting bytes none is read for so long is given up.
    absl::Duration time = absl::InfiniteDuration();
  };

  // One call's part of it. Threads: any.
  class Part {
   public:
    // `client` is the same for all calls of a connection. `give_up` ends the call; it may be called
    // from another thread until this is destroyed, and must not call back.
    Part(UnreadAnswers& all, uint64_t client, std::function<void()> give_up);
    // What still waits does not any more.
    ~Part();
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    // Whether an answer of `bytes` would have room now. Errors: ResourceExhausted UNREAD_ANSWERS.
    absl::Status CheckRoom(int64_t bytes) const;
    // `bytes` more wait. An error, as of CheckRoom, adds nothing. There is always room where
    // nothing else waits, and for the first 16 KiB of a call, so that those who read go on.
    absl::Status Add(int64_t bytes);
    // So many of them have left: the client reads.
    void Remove(int64_t bytes);
    bool given_up() const;

   private:
    friend class UnreadAnswers;

    UnreadAnswers& all_;
    const uint64_t client_;
    const std::function<void()> give_up_;
    // Guarded by the account's mutex.
    int64_t bytes_ = 0;
    absl::Time since_;  // bytes wait, or were last read
    bool given_up_ = false;
  };

  explicit UnreadAnswers(const Limits& limits);
  // After all parts.
  ~UnreadAnswers();
  UnreadAnswers(const UnreadAnswers&) = delete;
  UnreadAnswers& operator=(const UnreadAnswers&) = delete;

  int64_t bytes() const ABSL_LOCKS_EXCLUDED(mutex_);  // that wait

 private:
  absl::Status CheckRoom(uint64_t client, int64_t bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `bytes` may be negative.
  void Count(Part& part, int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch() ABSL_LOCKS_EXCLUDED(mutex_);

  const Limits limits_;
  mutable Mutex mutex_;
  CondVar stopped_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<uint64_t, int64_t> by_client_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<Part*> waiting_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace dyad
