// Sums of bytes, and a thread that looks for what nobody reads.
#include "server/api/unread_answers.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/request_error.h"
#include "server/base/steady_clock.h"
#include "server/base/thread.h"

namespace dyad {
namespace {

constexpr int64_t kConnectionShare = 4;
// Of one call; about what a client's window takes before it reads at all.
constexpr int64_t kAlwaysRoom = 16 << 10;
// What a client is told to wait: it reads meanwhile, or the others do.
constexpr absl::Duration kRetryAfter = absl::Seconds(1);

// So much that was waiting and is gone is given back to the system.
constexpr int64_t kMuch = 4 << 20;

absl::Status Full(const char* where, int64_t bytes, int64_t limit, const char* flag) {
  return WithRetryAfter(
      TooLarge({kUnreadAnswers, absl::StrCat("what waits to be read ", where, ", this answer too,"),
                bytes, limit, flag}),
      kRetryAfter);
}

}  // namespace

UnreadAnswers::Part::Part(UnreadAnswers& all, uint64_t client, std::function<void()> give_up)
    : all_(all), client_(client), give_up_(std::move(give_up)) {}

UnreadAnswers::Part::~Part() {
  MutexLock lock(&all_.mutex_);
  all_.Count(*this, -bytes_);
}

absl::Status UnreadAnswers::Part::CheckRoom(int64_t bytes) const {
  MutexLock lock(&all_.mutex_);
  return all_.CheckRoom(client_, bytes);
}

absl::Status UnreadAnswers::Part::Add(int64_t bytes) {
  MutexLock lock(&all_.mutex_);
  if (bytes_ + bytes > kAlwaysRoom) {
    const absl::Status status = all_.CheckRoom(client_, bytes);
    if (!status.ok()) return status;
  }
  if (bytes_ == 0) since_ = SteadyNow();
  all_.Count(*this, bytes);
  return absl::OkStatus();
}

void UnreadAnswers::Part::Remove(int64_t bytes) {
  MutexLock lock(&all_.mutex_);
  since_ = SteadyNow();
  all_.Count(*this, -bytes);
}

bool UnreadAnswers::Part::given_up() const {
  MutexLock lock(&all_.mutex_);
  return given_up_;
}

UnreadAnswers::UnreadAnswers(const Limits& limits)
    : limits_(limits), thread_([this] { Watch(); }) {}

UnreadAnswers::~UnreadAnswers() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    stopped_.SignalAll();
  }
  thread_.join();
}

int64_t UnreadAnswers::bytes() const {
  MutexLock lock(&mutex_);
  return bytes_;
}

absl::Status UnreadAnswers::CheckRoom(uint64_t client, int64_t bytes) const {
  const int64_t share = limits_.bytes / kConnectionShare;
  const auto found = by_client_.find(client);
  const int64_t own = found == by_client_.end() ? 0 : found->second;
  if (own > 0 && own + bytes > share) {
    return Full("on this connection", own + bytes, share, "a quarter of --max_unread_bytes");
  }
  if (bytes_ > 0 && bytes_ + bytes > limits_.bytes) {
    return Full("on all connections", bytes_ + bytes, limits_.bytes, "--max_unread_bytes");
  }
  return absl::OkStatus();
}

void UnreadAnswers::Count(Part& part, int64_t bytes) {
  if (bytes == 0) return;
  bytes_ += bytes;
  part.bytes_ += bytes;
  if (part.bytes_ > 0) {
    waiting_.insert(&part);
  } else {
    waiting_.erase(&part);
  }
  const auto own = by_client_.emplace(part.client_, 0).first;
  own->second += bytes;
  if (own->second == 0) by_client_.erase(own);
}

void UnreadAnswers::Watch() {
  NameThread("unread");
  const absl::Duration interval =
      std::clamp(limits_.time / 8, absl::Milliseconds(5), absl::Seconds(1));
  int64_t most = 0;  // that waited since nothing did
  while (true) {
    bool is_over = false;
    {
      MutexLock lock(&mutex_);
      if (!stop_) stopped_.WaitFor(&mutex_, absl::ToChronoNanoseconds(interval));
      if (stop_) return;
      const absl::Time now = SteadyNow();
      for (Part* part : waiting_) {
        if (part->given_up_ || now - part->since_ < limits_.time) continue;
        part->given_up_ = true;
        part->give_up_();
      }
      most = std::max(most, bytes_);
      is_over = bytes_ == 0 && std::exchange(most, 0) > kMuch;
    }
    // What steps take again and again malloc keeps for itself; such a flood does not come again.
    if (is_over) malloc_trim(0);
  }
}

}  // namespace dyad
