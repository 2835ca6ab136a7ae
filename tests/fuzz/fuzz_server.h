// What a target of requests has behind its front door: a real engine over a fake model, which
// checks what it is asked.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "server/api/server_state.h"
#include "server/base/mutex.h"
#include "server/text/byte_level_tokenizer.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/fake_model.h"

namespace dyad::testing {

// A short context keeps an execution short.
inline FakeModelOptions FakeOptions() {
  FakeModelOptions options;
  options.vocab_size = kEnd + 1;
  options.context_length = 48;
  return options;
}

inline std::unique_ptr<Tokenizer> MakeTokenizer() {
  TokenizerSpec spec = TinySpec();
  AddedToken end = MakeAdded("<end>", kEnd);
  end.special = true;
  spec.added.push_back(std::move(end));
  spec.bos_id = spec.eos_id = kEnd;
  auto tokenizer = ByteLevelTokenizer::Create(spec);
  Require(tokenizer.ok(), tokenizer.status().ToString());
  return *std::move(tokenizer);
}

// All that a server has behind its front door: one model with a tokenizer, one without.
struct Server {
  std::vector<ServedModel> Models() {
    ServedModel text;
    text.name = "text";
    text.info.layers.resize(2);
    text.limits = model.limits();
    text.tokenizer = tokenizer.get();
    text.engine = &engine;
    text.prefix_id = kEnd;
    text.eos_ids = {kEnd};
    text.word_id_sets = WordIdSets(*tokenizer, kEnd, model.limits().vocab_size);
    ServedModel ids = text;
    ids.name = "ids";
    ids.tokenizer = nullptr;
    return {text, ids};
  }

  FakeModel model{FakeOptions()};
  CountingMetrics metrics;
  std::unique_ptr<Tokenizer> tokenizer = MakeTokenizer();
  engine::Engine engine{model, {}, metrics};
  ModelRegistry models{Models()};
  ServerState state{models, {}};
};

inline Server& TheServer() {
  static auto& server = *new Server;
  return server;
}

// What the engine's thread hands over.
template <typename Value>
class Handover {
 public:
  void Put(Value value) {
    MutexLock lock(&mutex_);
    value_ = std::move(value);
    changed_.SignalAll();
  }
  Value Take() {
    MutexLock lock(&mutex_);
    while (!value_.has_value()) changed_.Wait(&mutex_);
    return *std::exchange(value_, std::nullopt);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::optional<Value> value_;
};

// Whether a request was taken; a refusal says why, and is the request's own fault.
inline bool IsTaken(const absl::Status& status) {
  Require(!absl::IsInternal(status) && !absl::IsUnknown(status), status.ToString());
  Require(status.ok() || !status.message().empty(), "a refusal says why");
  return status.ok();
}

}  // namespace dyad::testing
