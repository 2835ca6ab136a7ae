// Tensors -> plans of the API, and its answers -> tensors.
#include "server/kserve/infer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/api/request_error.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/kserve/metadata.h"
#include "server/kserve/tensors.h"
#include "server/openai/completion_json.h"
#include "server/openai/completion_request.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

using nlohmann::json;

// Fields of completions that have no place in such an answer.
constexpr const char* kNoSampling[] = {"model",   "prompt",           "stream_options",
                                       "echo",    "logprobs",         "n",
                                       "best_of", "return_token_ids", "return_tokens_as_token_ids"};

// "prompt[3]" is the tensor's "text_input[3]".
std::string GenerateField(std::string_view field) {
  const std::string name = CompletionField(field);
  return name.starts_with("prompt") ? "text_input" + name.substr(6) : name;
}

constexpr std::string_view kItems = "items[";

std::string ScoreField(std::string_view field) {
  if (!field.starts_with(kItems)) return std::string(field);
  const size_t dot = field.find("].");
  if (dot == std::string_view::npos) return "text" + std::string(field.substr(5));
  std::string name(field.substr(dot + 2));
  if (name == "context_text") name = "context";
  return absl::StrCat(name, std::string(field.substr(5, dot - 4)));
}

// Items are good and bad of each pair in turn.
std::string PairField(std::string_view field) {
  int64_t item = 0;
  const size_t end = field.find(']');
  if (!field.starts_with(kItems) || end == std::string_view::npos ||
      !absl::SimpleAtoi(AbslView(field.substr(kItems.size(), end - kItems.size())), &item)) {
    return std::string(field);
  }
  return absl::StrCat(item % 2 == 0 ? "good[" : "bad[", item / 2, "]");
}

json ValueOf(const inference::InferParameter& parameter) {
  switch (parameter.parameter_choice_case()) {
    case inference::InferParameter::kBoolParam:
      return parameter.bool_param();
    case inference::InferParameter::kInt64Param:
      return parameter.int64_param();
    case inference::InferParameter::kStringParam:
      return parameter.string_param();
    case inference::InferParameter::kDoubleParam:
      return parameter.double_param();
    case inference::InferParameter::kUint64Param:
      return parameter.uint64_param();
    default:
      return nullptr;
  }
}

absl::StatusOr<json> ReadSampling(const std::string& text) {
  absl::StatusOr<json> sampling = ReadJsonBody(text);
  if (sampling.ok()) return sampling;
  return InvalidField({"sampling_parameters", Shortened(text, 100),
                       Shortened(std::string(sampling.status().message()), 200)});
}

absl::Status CheckCount(const std::string& name, size_t count, const Call& call) {
  const auto most = static_cast<size_t>(call.state().limits.max_score_items);
  if (count >= 1 && count <= most) return absl::OkStatus();
  return InvalidField({name, absl::StrCat(count, " elements"),
                       absl::StrCat("must be in [1, ", most, "] (--max_score_items)")});
}

absl::StatusOr<GenerationPlans> PlanGenerate(const inference::ModelInferRequest& request,
                                             const InputTensors& inputs, const std::string& model,
                                             Call& call) {
  RETURN_IF_ERROR(inputs.CheckNames(
      {"text_input", "input_ids", "sampling_parameters", "exclude_input_in_output"}));
  GenerateInput input = {model, json::array(), json::object(), false};
  if (inputs.Has("text_input") == inputs.Has("input_ids")) {
    return InvalidField({"input_ids", "given beside text_input", "one of them is needed"});
  }
  if (inputs.Has("text_input")) {
    ASSIGN_OR_RETURN(input.prompt, inputs.Texts("text_input"));
    RETURN_IF_ERROR(CheckCount("text_input", input.prompt.size(), call));
  } else {
    ASSIGN_OR_RETURN(std::vector<int64_t> ids, inputs.Ids("input_ids"));
    input.prompt.push_back(std::move(ids));
  }
  if (inputs.Has("sampling_parameters")) {
    ASSIGN_OR_RETURN(const auto texts, inputs.Texts("sampling_parameters"));
    if (texts.size() != 1) {
      return InvalidField({"sampling_parameters", absl::StrCat(texts.size(), " elements"),
                           "must be one JSON object"});
    }
    ASSIGN_OR_RETURN(input.sampling, ReadSampling(texts.front()));
  }
  if (inputs.Has("exclude_input_in_output")) {
    ASSIGN_OR_RETURN(input.excludes_input, inputs.Flag("exclude_input_in_output"));
  }
  for (const auto& [name, parameter] : request.parameters()) {
    const json value = ValueOf(parameter);
    if (name == "exclude_input_in_output") {
      if (!value.is_boolean()) return WrongType(name, value, "true or false");
      input.excludes_input = value.get<bool>();
    } else if (name == "sampling_parameters") {
      if (!value.is_string()) return WrongType(name, value, "a JSON object, as text");
      ASSIGN_OR_RETURN(const json sampling, ReadSampling(value.get<std::string>()));
      input.sampling.update(sampling);
    } else {
      input.sampling[name] = value;
    }
  }
  return PlanGenerateInput(input, call);
}

absl::Status SetConvention(const inference::ModelInferRequest& request, v1::ScoreRequest& score) {
  for (const auto& [name, parameter] : request.parameters()) {
    if (name != "convention") {
      return InvalidField({Shortened(name, 100), "no parameter of a request that scores",
                           "convention is the only one", "UNKNOWN_PARAMETER"});
    }
    std::string word = parameter.string_param();
    if (!word.starts_with("CONVENTION_")) word = "CONVENTION_" + word;
    v1::Convention convention = v1::CONVENTION_UNSPECIFIED;
    if (!v1::Convention_Parse(word, &convention)) {
      return InvalidField({name, Shortened(parameter.string_param(), 100),
                           "must be LM_EVAL, BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"});
    }
    score.set_convention(convention);
  }
  return absl::OkStatus();
}

absl::StatusOr<ScorePlan> PlanTexts(const inference::ModelInferRequest& request,
                                    const InputTensors& inputs, InferKind kind,
                                    const std::string& model, Call& call) {
  const bool is_pairs = kind == InferKind::kPairs;
  const std::string first_name = is_pairs ? "good" : "text";
  const std::string second_name = is_pairs ? "bad" : "context";
  RETURN_IF_ERROR(inputs.CheckNames({first_name, second_name}));
  v1::ScoreRequest score;
  score.set_model(model);
  RETURN_IF_ERROR(SetConvention(request, score));
  if (!inputs.Has(first_name) || (is_pairs && !inputs.Has(second_name))) {
    return InvalidField(
        {inputs.Has(first_name) ? second_name : first_name, "absent",
         absl::StrCat("goes with ", inputs.Has(first_name) ? first_name : second_name)});
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> first, inputs.Texts(first_name));
  std::vector<std::string> second;
  if (inputs.Has(second_name)) {
    ASSIGN_OR_RETURN(second, inputs.Texts(second_name));
    if (second.size() != first.size()) {
      return InvalidField({second_name, absl::StrCat(second.size(), " elements"),
                           absl::StrCat("must be as many as of ", first_name, ": ", first.size())});
    }
  }
  RETURN_IF_ERROR(CheckCount(first_name, first.size() * (is_pairs ? 2 : 1), call));
  for (size_t i = 0; i < first.size(); ++i) {
    score.add_items()->set_text(first[i]);
    if (second.empty()) continue;
    if (is_pairs) {
      score.add_items()->set_text(second[i]);
    } else {
      score.mutable_items(static_cast<int>(i))->set_context_text(second[i]);
    }
  }
  absl::StatusOr<ScorePlan> plan = PlanScore(score, call);
  if (plan.ok()) return plan;
  return WithFieldNames(plan.status(), is_pairs ? &PairField : &ScoreField);
}

InferKind KindOf(const InputTensors& inputs) {
  if (inputs.Has("good") || inputs.Has("bad")) return InferKind::kPairs;
  return inputs.Has("text") || inputs.Has("context") ? InferKind::kScore : InferKind::kGenerate;
}

absl::StatusOr<std::vector<std::string>> WantedOutputs(const inference::ModelInferRequest& request,
                                                       InferKind kind) {
  const std::vector<std::string> names = OutputNames(kind);
  if (request.outputs().empty()) return names;
  std::vector<std::string> wanted;
  for (const auto& output : request.outputs()) {
    const bool is_known = std::find(names.begin(), names.end(), output.name()) != names.end();
    if (!is_known || std::find(wanted.begin(), wanted.end(), output.name()) != wanted.end()) {
      return InvalidField({Shortened(output.name(), 100),
                           is_known ? "asked for twice" : "no output of such a request",
                           absl::StrCat("those are ", absl::StrJoin(names, ", "))});
    }
    for (const auto& [name, value] : output.parameters()) {
      // Triton's client says so of each output that it does not want as raw bytes.
      if (name == "binary_data" && !value.bool_param()) continue;
      return InvalidField({output.name() + ".parameters", Shortened(name, 100),
                           "outputs have none here; binary tensors are not offered"});
    }
    wanted.push_back(output.name());
  }
  return wanted;
}

// Those of all kinds; the wanted ones are written.
struct Outputs {
  std::vector<std::string> texts, reasons;
  std::vector<uint32_t> input_tokens, output_tokens;
  std::vector<double> sums, means, margins;
  std::vector<int32_t> scored_tokens;
  std::vector<bool> correct, ties;
};

Outputs Generated(const InferPlan& plan, const v1::GenerateResponse& response) {
  const auto& plans = std::get<GenerationPlans>(plan.work);
  Outputs outputs;
  for (const v1::Choice& choice : response.choices()) {
    const GenerationPlan& of = plans[static_cast<size_t>(choice.index())];
    const auto prompt = static_cast<uint32_t>(of.request.ids.size());
    outputs.texts.push_back(choice.text());
    outputs.reasons.emplace_back(FinishWord(choice.finish_reason()));
    outputs.input_tokens.push_back(prompt);
    outputs.output_tokens.push_back(static_cast<uint32_t>(choice.ids_size()) -
                                    (of.echo == Echo::kYes ? prompt : 0));
  }
  return outputs;
}

absl::StatusOr<Outputs> Scored(const InferPlan& plan, const ScorePieces& pieces) {
  ASSIGN_OR_RETURN(const v1::ScoreResponse response, JoinPieces(pieces));
  Outputs outputs;
  for (const v1::TextScore& score : response.scores()) {
    outputs.sums.push_back(score.sum());
    outputs.means.push_back(score.mean());
    outputs.scored_tokens.push_back(score.scored_tokens());
  }
  const bool by_mean = std::get<ScorePlan>(plan.work).row->reduction == Reduction::kMean;
  const std::vector<double>& decides = by_mean ? outputs.means : outputs.sums;
  for (size_t i = 0; plan.kind == InferKind::kPairs && i + 1 < decides.size(); i += 2) {
    const double margin = decides[i] - decides[i + 1];
    outputs.margins.push_back(margin);
    outputs.correct.push_back(margin >= 0);
    outputs.ties.push_back(margin == 0);
  }
  return outputs;
}

inference::ModelInferResponse Write(const InferPlan& plan, const Outputs& outputs) {
  inference::ModelInferResponse response;
  response.set_model_name(plan.model->name);
  response.set_model_version(VersionOf(*plan.model));
  response.set_id(plan.id);
  OutputTensors tensors(response,
                        plan.is_raw ? OutputTensors::As::kRaw : OutputTensors::As::kLists);
  for (const std::string& name : plan.outputs) {
    if (name == "text_output") tensors.AddTexts(name, outputs.texts);
    if (name == "finish_reason") tensors.AddTexts(name, outputs.reasons);
    if (name == "num_input_tokens") tensors.AddCounts(name, outputs.input_tokens);
    if (name == "num_output_tokens") tensors.AddCounts(name, outputs.output_tokens);
    if (name == "sum") tensors.AddDoubles(name, outputs.sums);
    if (name == "mean") tensors.AddDoubles(name, outputs.means);
    if (name == "scored_tokens") tensors.AddInts(name, outputs.scored_tokens);
    if (name == "margin") tensors.AddDoubles(name, outputs.margins);
    if (name == "correct") tensors.AddFlags(name, outputs.correct);
    if (name == "tie") tensors.AddFlags(name, outputs.ties);
  }
  return response;
}

}  // namespace

absl::StatusOr<GenerationPlans> PlanGenerateInput(const GenerateInput& input, Call& call) {
  json body = input.sampling;
  for (const char* name : kNoSampling) {
    if (!body.contains(name)) continue;
    return InvalidField(
        {name, Shortened(body[name].dump(), 100), "has no place in such a request"});
  }
  // Whether pieces come is said by the path.
  if (body.contains("stream") && body["stream"] != false) {
    return InvalidField({"stream", Shortened(body["stream"].dump(), 100),
                         "must be false; generate_stream over HTTP streams"});
  }
  body["prompt"] = input.prompt;
  absl::StatusOr<CompletionRequest> request =
      ParseCompletion(body, call.state().limits.max_score_items);
  if (!request.ok()) return WithFieldNames(request.status(), &GenerateField);
  for (v1::GenerateRequest& prompt : request->prompts) {
    prompt.set_model(input.model);
    prompt.set_echo(!input.excludes_input);
  }
  absl::StatusOr<GenerationPlans> plans = PlanPrompts(request->prompts, call);
  if (!plans.ok()) return WithFieldNames(plans.status(), &GenerateField);
  // Text is the answer.
  RETURN_IF_ERROR(NeedsTokenizer(*plans->front().model));
  return plans;
}

absl::StatusOr<InferPlan> PlanInfer(const inference::ModelInferRequest& request, Call& call) {
  InferPlan plan;
  ASSIGN_OR_RETURN(plan.model,
                   FindVersion(call.state(), request.model_name(), request.model_version()));
  call.SetModel(*plan.model);
  ASSIGN_OR_RETURN(const InputTensors inputs, InputTensors::Read(request));
  plan.kind = KindOf(inputs);
  plan.id = request.id();
  plan.is_raw = request.raw_input_contents_size() > 0;
  if (plan.kind == InferKind::kGenerate) {
    ASSIGN_OR_RETURN(plan.work, PlanGenerate(request, inputs, plan.model->name, call));
  } else {
    ASSIGN_OR_RETURN(plan.work, PlanTexts(request, inputs, plan.kind, plan.model->name, call));
  }
  ASSIGN_OR_RETURN(plan.outputs, WantedOutputs(request, plan.kind));
  return plan;
}

InferAnswer::InferAnswer(InferPlan plan, Call& call,
                         std::function<void(absl::StatusOr<inference::ModelInferResponse>)> on_end)
    : plan_(std::move(plan)), on_end_(std::move(on_end)) {
  if (const auto* plans = std::get_if<GenerationPlans>(&plan_.work)) {
    generate_.emplace(*plans, call, [this](const absl::StatusOr<v1::GenerateResponse>& response) {
      if (!response.ok()) return End(response.status());
      End(Write(plan_, Generated(plan_, *response)));
    });
    return;
  }
  score_.emplace(std::get<ScorePlan>(plan_.work), call,
                 [this](const absl::StatusOr<ScorePieces>& pieces) {
                   if (!pieces.ok()) return End(pieces.status());
                   const absl::StatusOr<Outputs> outputs = Scored(plan_, *pieces);
                   if (!outputs.ok()) return End(outputs.status());
                   End(Write(plan_, *outputs));
                 });
}

void InferAnswer::Start() {
  if (generate_.has_value()) return generate_->Start();
  score_->Start();
}

void InferAnswer::Abandon() {
  if (generate_.has_value()) return generate_->Abandon();
  score_->Abandon();
}

void InferAnswer::End(absl::StatusOr<inference::ModelInferResponse> response) {
  const auto on_end = std::move(on_end_);
  on_end(std::move(response));
}

}  // namespace dyad
