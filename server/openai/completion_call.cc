// All but the callbacks of the engine runs on the exchange's thread, one thing after the other.
#include "server/openai/completion_call.h"

#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/api/generate_answer.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/openai/completion_json.h"
#include "server/routes/json_body.h"
#include "server/routes/whole_answer.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFiller[] = ": waiting\n\n";

std::string Event(std::string_view data) { return Text("data: ", data, "\n\n"); }

// A call's answer as JSON, whole or in pieces.
class CompletionAnswer {
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

  HttpCall& call() { return *call_; }
  const CompletionRequest& request() const { return request_; }
  const GenerationPlans& plans() const { return plans_; }

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
  const std::shared_ptr<HttpCall> call_;
  const CompletionRequest request_;
  const GenerationPlans plans_;
  Json base_;
  std::vector<CompletionChoice> choices_;  // by index
};

// Keeps itself alive until the call has ended, which it does also when the client has left: the
// engine then ends the sequences.
class StreamedCompletion final : public std::enable_shared_from_this<StreamedCompletion> {
 public:
  explicit StreamedCompletion(std::unique_ptr<CompletionAnswer> json) : json_(std::move(json)) {}

  void Start() {
    self_ = shared_from_this();
    answer_.emplace(json_->plans(), call(), Delivery::kPieces, [this] {
      is_told_early_ = true;
      // As soon as the work may run, it may end this.
      const std::shared_ptr<HttpExchange> exchange = call().exchange();
      exchange->Post([this] {
        is_told_ = true;
        if (!is_writing_) WriteNext();
      });
    });
    answer_->Start();
    // A refusal is told within Start, and gets a status of its own. Who was let in gets a head now.
    if (!is_told_early_) Send("");
    call().exchange()->OnLeave([weak = weak_from_this()] {
      if (const auto self = weak.lock(); self != nullptr) self->Leave();
    });
  }

 private:
  HttpCall& call() { return json_->call(); }

  void Leave() {
    call().exchange()->Post([self = shared_from_this()] {
      self->has_left_ = true;
      self->answer_->Abandon();
      // Of the write that was under way nothing more is heard.
      if (std::exchange(self->is_writing_, false)) self->WriteNext();
    });
  }

  void Send(std::string bytes) {
    is_writing_ = true;
    const auto written = [this, self = shared_from_this()] {
      call().unread().Remove(std::exchange(unread_, 0));
      is_writing_ = false;
      WriteNext();
    };
    if (std::exchange(is_begun_, true)) return call().exchange()->Write(std::move(bytes), written);
    HttpFields fields = call().Fields();
    fields.push_back({"Content-Type", "text/event-stream; charset=utf-8"});
    fields.push_back({"Cache-Control", "no-cache"});
    call().exchange()->Begin({200, std::move(fields), std::move(bytes)}, kFiller, written);
  }

  // Takes parts until one is being written, or there is none: then the engine tells of the next.
  void WriteNext() {
    while (std::exchange(is_told_, false)) {
      const std::optional<GeneratePart> part = answer_->Next();
      if (!part.has_value()) continue;
      is_told_ = true;
      if (part->end.has_value()) return End(*part->end);
      absl::StatusOr<std::string> event = PieceEvent(part->piece);
      if (event.ok()) failure_.Update(call().unread().Add(static_cast<int64_t>(event->size())));
      failure_.Update(event.status());
      if (failure_.ok() && !has_left_) {
        unread_ = static_cast<int64_t>(event->size());
        return Send(*std::move(event));
      }
      answer_->Abandon();  // its end is the next part
    }
  }

  absl::StatusOr<std::string> PieceEvent(const v1::Choice& choice) {
    ASSIGN_OR_RETURN(Json json, json_->ChoiceJson(choice));
    const bool is_counted = json_->request().usage == UsageChunks::kAll;
    Json usage = is_counted ? json_->UsageSoFar() : Json(nullptr);
    return Event(JsonBytes(json_->Answer(Json::array({std::move(json)}), std::move(usage))));
  }

  void End(const absl::Status& end) {
    failure_.Update(end);
    if (failure_.ok()) {
      std::string tail;
      if (json_->request().usage != UsageChunks::kNone) {
        tail = Event(JsonBytes(json_->Answer(Json::array(), json_->UsageAtEnd())));
      }
      call().EndStream(tail + Event("[DONE]"), failure_);
    } else if (is_begun_) {
      call().EndStream(Event(call().ErrorData(failure_)), failure_);
    } else {
      call().Fail(failure_);
    }
    self_.reset();  // may destroy this
  }

  const std::unique_ptr<CompletionAnswer> json_;
  std::shared_ptr<StreamedCompletion> self_;
  std::optional<GenerateAnswer> answer_;
  std::atomic<bool> is_told_early_ = false;
  bool is_told_ = false;  // there is a part, or was one at the last look
  bool is_writing_ = false;
  bool is_begun_ = false;
  bool has_left_ = false;
  int64_t unread_ = 0;  // of the write
  absl::Status failure_;
};

}  // namespace

void StartCompletion(const std::shared_ptr<HttpCall>& call, CompletionRequest request) {
  absl::StatusOr<GenerationPlans> plans = PlanPrompts(request.prompts, *call);
  if (!plans.ok()) return call->Fail(plans.status());
  const bool streams = request.stream;
  auto json = std::make_unique<CompletionAnswer>(call, std::move(request), *std::move(plans));
  if (streams) return std::make_shared<StreamedCompletion>(std::move(json))->Start();
  const std::shared_ptr<CompletionAnswer> whole = std::move(json);
  using Whole = WholeAnswer<WholeGenerateAnswer, GenerationPlans, v1::GenerateResponse>;
  Whole::Start(call, whole->plans(),
               [whole](const v1::GenerateResponse& response) -> absl::StatusOr<HttpResponse> {
                 ASSIGN_OR_RETURN(const Json body, whole->WholeJson(response));
                 return JsonResponse(body);
               });
}

}  // namespace dyad
