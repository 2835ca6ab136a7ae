// Calls of every service, from the bytes of their message to the answer's. The first byte chooses
// the method; a stream of pairs has two messages, and a second byte says how long the first one is.
// Behind the parsing there is a real engine, over a fake model that checks what it is asked.
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "server/api/comparison_group.h"
#include "server/api/comparison_queue.h"
#include "server/api/describe_model.h"
#include "server/api/describe_server.h"
#include "server/api/generate_answer.h"
#include "server/api/score_answer.h"
#include "server/api/tokenize.h"
#include "server/grpc/wire_message.h"
#include "tests/fuzz/fuzz_server.h"

namespace dyad {
namespace {

using namespace testing;

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
