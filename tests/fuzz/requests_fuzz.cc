// Calls of every service, from the bytes of their message to the answer's. The first byte chooses
// the method; a stream of pairs has two messages, and a second byte says how long the first one is.
// Behind the parsing there is a real engine, over a fake model that checks what it is asked.
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/api/comparison_group.h"
#include "server/api/comparison_queue.h"
#include "server/api/describe_model.h"
#include "server/api/describe_server.h"
#include "server/api/generate_answer.h"
#include "server/api/score_answer.h"
#include "server/api/tokenize.h"
#include "server/base/mutex.h"
#include "server/grpc/wire_message.h"
#include "server/text/byte_level_tokenizer.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/fake_model.h"

namespace dyad {
namespace {

using testing::Require;

// A short context keeps an execution short.
testing::FakeModelOptions FakeOptions() {
  testing::FakeModelOptions options;
  options.vocab_size = testing::kEnd + 1;
  options.context_length = 48;
  return options;
}

std::unique_ptr<Tokenizer> MakeTokenizer() {
  TokenizerSpec spec = testing::TinySpec();
  AddedToken end = testing::MakeAdded("<end>", testing::kEnd);
  end.special = true;
  spec.added.push_back(std::move(end));
  spec.bos_id = spec.eos_id = testing::kEnd;
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
    text.prefix_id = testing::kEnd;
    text.eos_ids = {testing::kEnd};
    text.word_id_sets = WordIdSets(*tokenizer, testing::kEnd, model.limits().vocab_size);
    ServedModel ids = text;
    ids.name = "ids";
    ids.tokenizer = nullptr;
    return {text, ids};
  }

  testing::FakeModel model{FakeOptions()};
  testing::CountingMetrics metrics;
  std::unique_ptr<Tokenizer> tokenizer = MakeTokenizer();
  engine::Engine engine{model, {}, metrics};
  ModelRegistry models{Models()};
  ServerState state{models, {}};
};

Server& TheServer() {
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
bool IsTaken(const absl::Status& status) {
  Require(!absl::IsInternal(status) && !absl::IsUnknown(status), status.ToString());
  Require(status.ok() || !status.message().empty(), "a refusal says why");
  return status.ok();
}

template <typename Response>
void Write(absl::StatusOr<Response> answer) {
  if (!IsTaken(answer.status())) return;
  IsTaken(WriteMessage(*std::move(answer), TheServer().state.limits).status());
}

template <typename Request>
absl::StatusOr<Request> Read(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return ReadMessage<Request>(grpc::ByteBuffer(&slice, 1), 1, TheServer().state.limits);
}

template <auto answer, typename Request>
void AnswerNow(std::string_view bytes) {
  const absl::StatusOr<Request> request = Read<Request>(bytes);
  if (!IsTaken(request.status())) return;
  Call call(TheServer().state, {});
  Write(answer(*request, call));
}

template <auto plan_request, typename Request, typename Answer, typename Response>
void AnswerLater(std::string_view bytes) {
  const absl::StatusOr<Request> request = Read<Request>(bytes);
  if (!IsTaken(request.status())) return;
  Call call(TheServer().state, {});
  auto plan = plan_request(*request, call);
  if (!IsTaken(plan.status())) return;
  static auto& handover = *new Handover<absl::StatusOr<Response>>;
  Answer answer(*std::move(plan), call,
                [](absl::StatusOr<Response> response) { handover.Put(std::move(response)); });
  answer.Start();
  Write(handover.Take());
}

void AnswerPairs(std::string_view bytes) {
  ComparisonQueue queue(TheServer().state);
  const size_t first = bytes.empty() ? 0 : std::min<size_t>(bytes[0] & 0xff, bytes.size() - 1);
  if (!bytes.empty()) bytes.remove_prefix(1);
  for (const std::string_view message : {bytes.substr(0, first), bytes.substr(first)}) {
    const auto request = Read<v1::ScoreMinimalPairsRequest>(message);
    if (!IsTaken(request.status())) return;
    const auto at_fault = queue.Add(*request);
    if (!IsTaken(at_fault.status())) return;
  }
  while (!queue.empty()) {
    static auto& handover = *new Handover<bool>;
    ComparisonGroup group(queue.options(), queue.Take(16), 0,
                          [](ComparisonGroup&) { handover.Put(true); });
    const absl::Status refused = group.Submit(TheServer().state);
    if (!IsTaken(refused)) return;
    handover.Take();
    IsTaken(group.failure());
    v1::ScoreMinimalPairsResponse response;
    for (ComparisonResult& result : group.Results()) {
      std::visit(
          [](const auto& of_kind) {
            Require(!of_kind.has_error() || of_kind.error().code() == 3, of_kind.error().message());
          },
          result);
      if (auto* pair = std::get_if<v1::PairScore>(&result))
        *response.add_results() = std::move(*pair);
      if (auto* choice = std::get_if<v1::ChoiceScore>(&result))
        *response.add_choices() = std::move(*choice);
    }
    Write(absl::StatusOr<v1::ScoreMinimalPairsResponse>(std::move(response)));
  }
}

constexpr void (*kMethods[])(std::string_view bytes) = {
    AnswerLater<PlanGenerate, v1::GenerateRequest, WholeGenerateAnswer, v1::GenerateResponse>,
    AnswerLater<PlanScore, v1::ScoreRequest, ScoreAnswer, ScorePieces>,
    AnswerPairs,
    AnswerNow<Tokenize, v1::TokenizeRequest>,
    AnswerNow<Detokenize, v1::DetokenizeRequest>,
    AnswerNow<ListModels, v1::ListModelsRequest>,
    AnswerNow<GetModel, v1::GetModelRequest>,
    AnswerNow<GetServerInfo, v1::GetServerInfoRequest>,
};

}  // namespace
}  // namespace dyad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const auto silence = google::protobuf::SetLogHandler(nullptr);
  (void)silence;
  dyad::kMethods[data[0] % std::size(dyad::kMethods)](dyad::testing::AsText(data + 1, size - 1));
  return 0;
}
