// All but the callbacks of the engine runs on the exchange's thread, one thing after the other.
#include "server/openai/completion_call.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/api/generate_answer.h"
#include "server/base/status_macros.h"
#include "server/openai/completion_json.h"
#include "server/routes/event_stream.h"
#include "server/routes/json_body.h"
#include "server/routes/whole_answer.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

// A call's answer as JSON, whole or in pieces.
class CompletionAnswer final : public EventWriter {
 public:
  CompletionAnswer(const std::shared_ptr<HttpCall>& call, CompletionRequest request,
                   GenerationPlans plans)
      : call_(call), request_(std::move(request)), plans_(std::move(plans)) {
    const ServedModel& model = *plans_.front().model;
    base_ = {{"id", "cmpl-" + call_->record().request_id},
             {"object", "text_completion"},
             {"created", absl::ToUnixSeconds(absl::Now())},
             {"model", model.name},
             {"system_fingerprint",
              absl::StrCat("dyad-", model.info.digest.substr(0, 12), "-", model.info.arithmetic)}};
    for (const GenerationPlan& plan : plans_) {
      for (int32_t i = 0; i < plan.choices; ++i) choices_.emplace_back(plan, request_);
    }
  }

  CompletionAnswer(const CompletionAnswer&) = delete;

  HttpCall& call() override { return *call_; }
  const GenerationPlans& plans() const override { return plans_; }
  absl::StatusOr<std::string> Piece(const v1::Choice& choice) override {
    ASSIGN_OR_RETURN(Json json, ChoiceJson(choice));
    Json usage = request_.usage == UsageChunks::kAll ? UsageSoFar() : Json(nullptr);
    return JsonBytes(Answer(Json::array({std::move(json)}), std::move(usage)));
  }
  std::vector<std::string> Tail() override {
    if (request_.usage == UsageChunks::kNone) return {"[DONE]"};
    return {JsonBytes(Answer(Json::array(), UsageAtEnd())), "[DONE]"};
  }

  absl::StatusOr<Json> WholeJson(const v1::GenerateResponse& response) {
    Json choices = Json::array();
    for (const v1::Choice& choice : response.choices()) {
      ASSIGN_OR_RETURN(Json json, ChoiceJson(choice));
      choices.push_back(std::move(json));
    }
    Json json = Answer(std::move(choices), UsageAtEnd());
    const GenerationPlan& plan = plans_.front();
    json["dyad"] = {{"seed", plan.request.sampling.seed},
                    {"model_digest", plan.model->info.digest},
                    {"arithmetic", plan.model->info.arithmetic}};
    return json;
  }

 private:
  absl::StatusOr<Json> ChoiceJson(const v1::Choice& choice) {
    return choices_[static_cast<size_t>(choice.index())].Piece(choice);
  }

  // Everything of an answer but these.
  Json Answer(Json choices, Json usage) const {
    Json json = base_;
    json["choices"] = std::move(choices);
    json["usage"] = std::move(usage);
    return json;
  }

  Json UsageSoFar() const {
    int64_t generated = 0;
    for (const CompletionChoice& choice : choices_) generated += choice.generated_tokens();
    const int64_t prompt = call_->record().prompt_tokens;
    return {{"prompt_tokens", prompt},
            {"completion_tokens", generated},
            {"total_tokens", prompt + generated}};
  }
  // Once the engine is done.
  Json UsageAtEnd() const {
    Json usage = UsageSoFar();
    usage["prompt_tokens_details"] = {{"cached_tokens", call_->record().cached_tokens}};
    return usage;
  }

  const std::shared_ptr<HttpCall> call_;
  const CompletionRequest request_;
  const GenerationPlans plans_;
  Json base_;
  std::vector<CompletionChoice> choices_;  // by index
};

}  // namespace

void StartCompletion(const std::shared_ptr<HttpCall>& call, CompletionRequest request) {
  absl::StatusOr<GenerationPlans> plans = PlanPrompts(request.prompts, *call);
  if (!plans.ok()) return call->Fail(plans.status());
  const bool streams = request.stream;
  auto json = std::make_unique<CompletionAnswer>(call, std::move(request), *std::move(plans));
  if (streams) return StartEvents(std::move(json));
  const std::shared_ptr<CompletionAnswer> whole = std::move(json);
  using Whole = WholeAnswer<WholeGenerateAnswer, GenerationPlans, v1::GenerateResponse>;
  Whole::Start(call, whole->plans(),
               [whole](const v1::GenerateResponse& response) -> absl::StatusOr<HttpResponse> {
                 ASSIGN_OR_RETURN(const Json body, whole->WholeJson(response));
                 return JsonResponse(body);
               });
}

}  // namespace dyad
