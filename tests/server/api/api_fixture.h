// Requests without a wire: fake models, a real engine over one, and what errors say.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "server/api/call.h"
#include "server/api/served_model.h"
#include "server/api/server_state.h"
#include "server/api/words.h"
#include "server/base/mutex.h"
#include "server/engine/engine.h"
#include "tests/server/api/byte_tokenizer.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/support/fake_model.h"

namespace dyad::testing {

// Keeps what it sees.
class RecordingObserver final : public RpcObserver {
 public:
  bool WantsPrompts() const override { return true; }
  void OnRpcEnd(const RpcRecord& record) override {
    MutexLock lock(&mutex_);
    records_.push_back(record);
    changed_.SignalAll();
  }
  // Waits for the nth record, from 0: a call may be reported after its client has the answer. One
  // that does not come within a minute is a failure.
  RpcRecord Await(size_t n) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    MutexLock lock(&mutex_);
    while (records_.size() <= n) {
      const auto left = until - std::chrono::steady_clock::now();
      if (left <= left.zero()) {
        ADD_FAILURE() << "call " << n << " was not reported within a minute";
        return {};
      }
      changed_.WaitFor(&mutex_, left);
    }
    return records_[n];
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<RpcRecord> records_ ABSL_GUARDED_BY(mutex_);
};

// A registry of two fake entries for tests of parsing: "bytes" with ByteTokenizer, and "ids"
// without one.
inline std::vector<ServedModel> FakeModels(const Tokenizer& tokenizer, engine::ModelLimits limits,
                                           engine::Engine* engine) {
  ServedModel bytes;
  bytes.name = "bytes";
  bytes.info.architecture = "opt";
  bytes.info.digest = "d1";
  bytes.info.arithmetic = "fast";
  bytes.limits = limits;
  bytes.tokenizer = &tokenizer;
  bytes.engine = engine;
  bytes.prefix_id = kEnd;
  bytes.eos_ids = {kEnd};
  bytes.word_id_sets = WordIdSets(tokenizer, kEnd, limits.vocab_size);
  ServedModel ids = bytes;
  ids.name = "ids";
  ids.info.digest = "d2";
  ids.tokenizer = nullptr;
  return {bytes, ids};
}

inline FakeModelOptions ByteModel() {
  FakeModelOptions options;
  options.vocab_size = kByteVocabulary;
  options.kv_pages = 256;
  return options;
}

struct StackOptions {
  FakeModelOptions model = ByteModel();
  engine::EngineOptions engine;
  RequestLimits limits;
  absl::Duration unread_timeout = absl::Minutes(1);
};

// Everything between a front door and the fake model.
class EngineStack {
 public:
  explicit EngineStack(const StackOptions& options = {})
      : model(options.model),
        engine(std::make_unique<engine::Engine>(model, options.engine, metrics)),
        models(FakeModels(tokenizer, model.limits(), engine.get())),
        state{.models = models,
              .limits = options.limits,
              .observer = &observer,
              .info = {"the version of a test", "", "", "", {}, {}},
              .unread_timeout = options.unread_timeout} {}

  // Whether the engine comes to rest with every page free.
  bool ComesToRest() const {
    for (int i = 0; i < 2000; ++i) {
      const engine::EngineStatus status = engine->Status();
      if (status.running == 0 && status.waiting == 0) {
        return status.free_pages == model.limits().kv_pages;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  FakeModel model;
  CountingMetrics metrics;
  ByteTokenizer tokenizer;
  RecordingObserver observer;
  std::unique_ptr<engine::Engine> engine;
  ModelRegistry models;
  ServerState state;
};

// A stack whose peer "p" has read nothing of 15 KiB, of the 16 KiB that wait for a connection.
struct UnreadStack {
  EngineStack stack{[] {
    StackOptions options;
    options.limits.max_unread_bytes = 64 << 10;
    return options;
  }()};
  Call unread{stack.state, {.method = "S/M", .peer = "p"}};

  UnreadStack() { EXPECT_EQ(unread.unread().Add(15 << 10), absl::OkStatus()); }
};

// The detail of this type that an error carries.
template <typename Detail>
std::optional<Detail> FindDetail(const google::rpc::Status& status) {
  for (const auto& any : status.details()) {
    Detail detail;
    if (any.Is<Detail>() && any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

inline std::string Reason(const google::rpc::Status& status) {
  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  return info.has_value() ? absl::StrCat(info->domain(), " ", info->reason()) : "no ErrorInfo";
}

template <typename Repeated>
std::vector<typename Repeated::value_type> ToVector(const Repeated& values) {
  return {values.begin(), values.end()};
}

}  // namespace dyad::testing
