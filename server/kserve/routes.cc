// A function for each path under /v2.
#include "server/kserve/routes.h"

#include <string>
#include <utility>
#include <vector>

#include "server/api/request_error.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/kserve/error.h"
#include "server/kserve/infer.h"
#include "server/kserve/infer_json.h"
#include "server/kserve/metadata.h"
#include "server/openai/completion_json.h"
#include "server/routes/event_stream.h"
#include "server/routes/json_body.h"
#include "server/routes/whole_answer.h"

namespace dyad {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kBinaryHeader[] = "Inference-Header-Content-Length";
constexpr std::string_view kVersions = "/versions/";

// "NAME" or "NAME/versions/VERSION", as a path has it.
struct ModelPath {
  explicit ModelPath(const std::string& path) : name(path) {
    const size_t at = path.rfind(kVersions);
    if (at == std::string::npos) return;
    name = path.substr(0, at);
    version = path.substr(at + kVersions.size());
  }
  std::string name;
  std::string version;
};

void Send(const Ask& ask, const absl::StatusOr<Json>& json, int status = 200) {
  if (!json.ok()) return ask.call->Fail(json.status());
  HttpResponse response = JsonResponse(*json);
  response.status = status;
  ask.call->Answer(std::move(response));
}

void SendServer(const Ask& ask) {
  const auto server = ServerMetadata({}, *ask.call);
  Send(ask, Json{{"name", server->name()},
                 {"version", server->version()},
                 {"extensions", Json::array()}});
}
void SendLive(const Ask& ask) {
  const bool is_so = ServerLive({}, *ask.call)->live();
  Send(ask, Json{{"live", is_so}}, is_so ? 200 : 503);
}
void SendReady(const Ask& ask) {
  const bool is_so = ServerReady({}, *ask.call)->ready();
  Send(ask, Json{{"ready", is_so}}, is_so ? 200 : 503);
}

// A request about the model of the path.
template <typename Request>
Request About(const Ask& ask) {
  const ModelPath path(ask.name);
  Request request;
  request.set_name(path.name);
  request.set_version(path.version);
  return request;
}

void SendModel(const Ask& ask) {
  const auto metadata = ModelMetadata(About<inference::ModelMetadataRequest>(ask), *ask.call);
  if (!metadata.ok()) return ask.call->Fail(metadata.status());
  Send(ask, MetadataJson(*metadata));
}

void SendModelReady(const Ask& ask) {
  const auto request = About<inference::ModelReadyRequest>(ask);
  const auto ready = ModelReady(request, *ask.call);
  if (!ready.ok()) return ask.call->Fail(ready.status());
  Send(ask, Json{{"name", request.name()}, {"ready", ready->ready()}}, ready->ready() ? 200 : 503);
}

absl::StatusOr<nlohmann::json> ReadBody(const Ask& ask) {
  RETURN_IF_ERROR(ask.call->unread().CheckRoom(1));
  const HttpRequest& request = ask.call->request();
  const auto binary = FindField(request.fields, kBinaryHeader);
  if (binary.has_value()) {
    return InvalidField({kBinaryHeader, Shortened(*binary, 100),
                         "binary tensors are not offered: give data as lists (binary_data=False)"});
  }
  return ReadJsonBody(request.body);
}

absl::StatusOr<InferPlan> ReadInfer(const Ask& ask) {
  ASSIGN_OR_RETURN(const nlohmann::json body, ReadBody(ask));
  ASSIGN_OR_RETURN(inference::ModelInferRequest request, ReadInferJson(body));
  const ModelPath path(ask.name);
  request.set_model_name(path.name);
  request.set_model_version(path.version);
  return PlanInfer(request, *ask.call);
}

absl::StatusOr<HttpResponse> WriteInfer(const inference::ModelInferResponse& response) {
  return JsonResponse(InferJson(response));
}

void Infer(const Ask& ask) {
  WholeAnswer<InferAnswer, InferPlan, inference::ModelInferResponse>::Start(
      ask.call, ReadInfer(ask), &WriteInfer);
}

// Body of generate and generate_stream: one text, and fields of completions.
absl::StatusOr<GenerationPlans> ReadGenerate(const Ask& ask) {
  ASSIGN_OR_RETURN(const nlohmann::json body, ReadBody(ask));
  RETURN_IF_ERROR(CheckNames(body, {"id", "text_input", "parameters", "exclude_input_in_output"}));
  RETURN_IF_ERROR(StringOr(body, "id", "").status());
  const ModelPath path(ask.name);
  ASSIGN_OR_RETURN(const ServedModel* model,
                   FindVersion(ask.call->state(), path.name, path.version));
  GenerateInput input = {model->name, nlohmann::json::array(), nlohmann::json::object(), false};
  const auto text = body.find("text_input");
  if (text == body.end() || !text->is_string()) {
    return WrongType("text_input", text == body.end() ? nlohmann::json() : *text, "a string");
  }
  input.prompt.push_back(*text);
  const auto parameters = body.find("parameters");
  if (parameters != body.end() && !parameters->is_null()) {
    if (!parameters->is_object()) return WrongType("parameters", *parameters, "an object");
    input.sampling = *parameters;
  }
  ASSIGN_OR_RETURN(input.excludes_input, BoolOr(body, "exclude_input_in_output", false));
  return PlanGenerateInput(input, *ask.call);
}

Json GeneratedJson(const ServedModel& model, const v1::Choice& choice) {
  Json json = {{"model_name", model.name},
               {"model_version", VersionOf(model)},
               {"text_output", choice.text()}};
  const std::string_view reason = FinishWord(choice.finish_reason());
  if (!reason.empty()) json["details"] = {{"finish_reason", std::string(reason)}};
  return json;
}

class GeneratedEvents final : public EventWriter {
 public:
  GeneratedEvents(std::shared_ptr<HttpCall> call, GenerationPlans plans)
      : call_(std::move(call)), plans_(std::move(plans)) {}

  HttpCall& call() override { return *call_; }
  const GenerationPlans& plans() const override { return plans_; }
  absl::StatusOr<std::string> Piece(const v1::Choice& choice) override {
    return JsonBytes(GeneratedJson(*plans_.front().model, choice));
  }
  std::vector<std::string> Tail() override { return {}; }

 private:
  const std::shared_ptr<HttpCall> call_;
  const GenerationPlans plans_;
};

void GenerateWhole(const Ask& ask) {
  absl::StatusOr<GenerationPlans> plans = ReadGenerate(ask);
  if (!plans.ok()) return ask.call->Fail(plans.status());
  const ServedModel* model = plans->front().model;
  WholeAnswer<WholeGenerateAnswer, GenerationPlans, v1::GenerateResponse>::Start(
      ask.call, *std::move(plans),
      [model](const v1::GenerateResponse& response) -> absl::StatusOr<HttpResponse> {
        return JsonResponse(GeneratedJson(*model, response.choices(0)));
      });
}

void GenerateStream(const Ask& ask) {
  absl::StatusOr<GenerationPlans> plans = ReadGenerate(ask);
  if (!plans.ok()) return ask.call->Fail(plans.status());
  StartEvents(std::make_unique<GeneratedEvents>(ask.call, *std::move(plans)));
}

}  // namespace

RouteFamily KserveRoutes() {
  RouteFamily family;
  family.prefix = "/v2";
  family.error = &KserveError;
  family.takes_fixed_model = false;
  family.takes_untyped_body = true;
  family.routes = {
      {"GET", "/v2", &SendServer},
      {"GET", "/v2/health/live", &SendLive, nullptr, false},
      {"GET", "/v2/health/ready", &SendReady, nullptr, false},
      {"GET", "/v2/models/{}", &SendModel},
      {"GET", "/v2/models/{}/ready", &SendModelReady},
      {"POST", "/v2/models/{}/infer", &Infer},
      {"POST", "/v2/models/{}/generate", &GenerateWhole},
      {"POST", "/v2/models/{}/generate_stream", &GenerateStream},
  };
  return family;
}

}  // namespace dyad
