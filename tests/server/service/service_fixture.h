// A real server with the four services over a real engine and a fake model, for one test.
#pragma once

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dyad/v1/generation.grpc.pb.h"
#include "dyad/v1/model.grpc.pb.h"
#include "dyad/v1/scoring.grpc.pb.h"
#include "dyad/v1/tokenizer.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/mutex.h"
#include "server/engine/engine.h"
#include "server/service/served_model.h"
#include "server/service/services.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/service/byte_tokenizer.h"
#include "tests/support/connected_channel.h"
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
  // Waits for the nth record, from 0: a call may be reported after its client has the answer.
  RpcRecord Await(size_t n) {
    MutexLock lock(&mutex_);
    while (records_.size() <= n) changed_.Wait(&mutex_);
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
  bytes.limits = limits;
  bytes.tokenizer = &tokenizer;
  bytes.engine = engine;
  bytes.prefix_id = kEnd;
  bytes.eos_id = kEnd;
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
};

// Everything between a client's stub and the fake model.
class Stack {
 public:
  explicit Stack(StackOptions options = {})
      : model(options.model),
        engine(std::make_unique<engine::Engine>(model, options.engine, metrics)),
        models(FakeModels(tokenizer, model.limits(), engine.get())),
        services(ServiceContext{models, options.limits, &observer}) {
    grpc::ServerBuilder builder;
    static int count = 0;
    address =
        absl::StrCat("unix:", ::testing::TempDir(), "/service_", getpid(), "_", count++);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    services.Register(builder);
    server = builder.BuildAndStart();
    channel = ConnectedChannel(address);
    generation = v1::GenerationService::NewStub(channel);
    scoring = v1::ScoringService::NewStub(channel);
    tokens = v1::TokenizerService::NewStub(channel);
    model_stub = v1::ModelService::NewStub(channel);
  }
  ~Stack() {
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(10));
    engine.reset();
  }

  // A channel over which little is under way that its client has not read.
  std::shared_ptr<grpc::Channel> NarrowChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16384);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return ConnectedChannel(address, arguments);
  }

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
  Services services;
  std::string address;
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::GenerationService::Stub> generation;
  std::unique_ptr<v1::ScoringService::Stub> scoring;
  std::unique_ptr<v1::TokenizerService::Stub> tokens;
  std::unique_ptr<v1::ModelService::Stub> model_stub;
};

// The detail of this type that an error carries.
template <typename Detail>
std::optional<Detail> FindDetail(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& any : details.details()) {
    Detail detail;
    if (any.Is<Detail>() && any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

inline std::string Reason(const grpc::Status& status) {
  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  return info.has_value() ? absl::StrCat(info->domain(), " ", info->reason()) : "no ErrorInfo";
}

// The field that a BadRequest names.
inline std::string BadField(const grpc::Status& status) {
  const auto bad = FindDetail<google::rpc::BadRequest>(status);
  return bad.has_value() && bad->field_violations_size() == 1 ? bad->field_violations(0).field()
                                                              : "no field";
}

// Value of a trailing metadata key; empty if there is none.
inline std::string Trailer(const grpc::ClientContext& context, const std::string& key) {
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

template <typename Repeated>
std::vector<typename Repeated::value_type> ToVector(const Repeated& values) {
  return {values.begin(), values.end()};
}

}  // namespace dyad::testing
