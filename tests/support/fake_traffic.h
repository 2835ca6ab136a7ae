// Faults of a fake server, and what it saw of its calls.
#pragma once

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "grpcpp/grpcpp.h"
#include "server/base/mutex.h"

namespace dyad::testing {

// What goes wrong, and what was seen. Threads: any.
class FakeTraffic {
 public:
  struct Faults {
    int spare_first = 0;  // calls that go well before those that fail
    int fail_first = 0;   // calls that end at once with `code`
    grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE;
    std::string reason = {};     // of its ErrorInfo, beside a pushback of 10 ms; empty: no details
    int longest_delay_ms = 0;    // each call sleeps a random time up to this
    int break_stream_after = 0;  // results or pieces; then the stream ends with `code`. 0: never
    int stream_breaks = 1;       // how many streams do that
    bool shuffle_results = false;  // of one message of pairs
  };

  void SetFaults(const Faults& faults) {
    MutexLock lock(&mutex_);
    faults_ = faults;
  }
  Faults faults() {
    MutexLock lock(&mutex_);
    return faults_;
  }

  // The last request, as text.
  void Saw(const google::protobuf::Message& request) {
    MutexLock lock(&mutex_);
    seen_ = request.ShortDebugString();
  }
  std::string seen() {
    MutexLock lock(&mutex_);
    return seen_;
  }

  // At the start of a call: sleeps, and tells how it ends.
  grpc::Status Begin() {
    int delay_ms = 0;
    grpc::Status status;
    {
      MutexLock lock(&mutex_);
      ++calls_;
      most_at_once_ = std::max(most_at_once_, ++now_);
      if (faults_.longest_delay_ms > 0) {
        delay_ms = std::uniform_int_distribution<int>(0, faults_.longest_delay_ms)(random_);
      }
      if (faults_.spare_first > 0) {
        --faults_.spare_first;
      } else if (faults_.fail_first > 0) {
        --faults_.fail_first;
        status = grpc::Status(faults_.code, "fault on purpose", Details(faults_.reason));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    return status;
  }
  void End() {
    MutexLock lock(&mutex_);
    --now_;
  }
  // Whether a stream that gave `results` results breaks now.
  bool BreaksNow(int results) {
    MutexLock lock(&mutex_);
    if (faults_.break_stream_after == 0 || results < faults_.break_stream_after) return false;
    if (faults_.stream_breaks == 0) return false;
    --faults_.stream_breaks;
    return true;
  }
  int calls() {
    MutexLock lock(&mutex_);
    return calls_;
  }
  int most_at_once() {
    MutexLock lock(&mutex_);
    return most_at_once_;
  }

  template <typename Items>
  void MaybeShuffle(Items& items) {
    MutexLock lock(&mutex_);
    if (faults_.shuffle_results) std::shuffle(items.begin(), items.end(), random_);
  }

 private:
  static std::string Details(const std::string& reason) {
    if (reason.empty()) return "";
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_nanos(10'000'000);
    google::rpc::Status reply;
    reply.add_details()->PackFrom(info);
    reply.add_details()->PackFrom(retry);
    return reply.SerializeAsString();
  }

  Mutex mutex_;
  Faults faults_ ABSL_GUARDED_BY(mutex_);
  std::mt19937 random_ ABSL_GUARDED_BY(mutex_){1};
  std::string seen_ ABSL_GUARDED_BY(mutex_);
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int now_ ABSL_GUARDED_BY(mutex_) = 0;
  int most_at_once_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Begins a call and ends it with its scope.
class FakeCall {
 public:
  explicit FakeCall(FakeTraffic& traffic) : traffic_(traffic), status_(traffic.Begin()) {}
  ~FakeCall() { traffic_.End(); }
  const grpc::Status& status() const { return status_; }

 private:
  FakeTraffic& traffic_;
  grpc::Status status_;
};

}  // namespace dyad::testing
