// Step by step.
#include "server/model/describe_plan.h"

#include <string_view>
#include <utility>
#include <variant>

#include "server/base/message_text.h"

namespace dyad {
namespace {

using kernels::BlockList;
using kernels::Contract;
using kernels::Element;
using kernels::Mix;
using kernels::Plan;
using kernels::Route;
using kernels::Step;

std::string BufferName(int buffer) {
  if (buffer == 0) return "x";
  return buffer == 1 ? "y" : Text("h", buffer);
}

std::string BuffersText(int source, int destination) {
  return Text(BufferName(source), " -> ", BufferName(destination), ": ");
}

// "3 blocks of ", empty where there is one.
std::string CountText(int64_t count, std::string_view what) {
  return count == 1 ? "" : Text(count, " ", what, " of ");
}

std::string TextOf(const Plan&, const Contract& step) {
  std::string text = Text("contract ", BuffersText(step.source, step.destination),
                          CountText(step.blocks, "blocks"), CountText(step.groups, "groups"),
                          step.depth, " -> ", step.outputs);
  if (step.terms.size() > 1) text += Text(", ", step.terms.size(), " terms");
  if (step.precise) text += ", float32";
  if (step.routed.route >= 0) text += ", for rows that chose it";
  return text;
}

std::string TextOf(const Plan&, const Mix& step) {
  return Text("mix ", BuffersText(step.source, step.destination), step.from, " -> ", step.to,
              ", width ", step.width);
}

std::string TextOf(const Plan&, const BlockList& step) {
  int64_t weights = 0;
  for (const kernels::Place& place : step.places) {
    weights += place.outputs * kernels::DepthOf(step, place);
  }
  return Text("list ", BuffersText(step.source, step.destination), step.places.size(), " places, ",
              weights, " weights");
}

std::string TextOf(const Plan& plan, const Route& step) {
  const int64_t items = plan.widths[static_cast<size_t>(step.logits)];
  return Text("route by ", BufferName(step.logits), ": ", step.keep, " of ", items,
              step.rule == kernels::Rule::kShare ? ", by shares" : ", by softmax");
}

// Weights alone.
int64_t BytesOf(const Plan& plan, const Step& step) {
  Plan one;
  one.widths = plan.widths;
  one.steps = {step};
  const auto* const contract = std::get_if<Contract>(&one.steps[0]);
  if (contract != nullptr) std::get<Contract>(one.steps[0]).routed = {};
  const int64_t weights = kernels::Cost(one).parameters;
  const bool stays_float =
      std::holds_alternative<Mix>(step) || (contract != nullptr && contract->precise);
  if (stays_float) return weights * ElementBytes(Element::kFloat32);
  int64_t scales = 0;
  if (plan.type == Element::kInt8) {
    if (contract != nullptr) scales = contract->blocks * contract->outputs;
    if (const auto* const list = std::get_if<BlockList>(&step)) {
      for (const kernels::Place& place : list->places) scales += place.outputs;
    }
  }
  return weights * ElementBytes(plan.type) + scales * int64_t{sizeof(float)};
}

}  // namespace

std::vector<std::string> StepTexts(const Plan& plan) {
  std::vector<std::pair<std::string, size_t>> runs;  // a text, and how often it stands there
  size_t told = 0;
  for (const Step& step : plan.steps) {
    std::string text = std::visit([&](const auto& any) { return TextOf(plan, any); }, step);
    if (runs.empty() || runs.back().first != text) {
      if (runs.size() == kMostStepTexts) break;
      runs.emplace_back(std::move(text), 0);
    }
    ++runs.back().second;
    ++told;
  }
  std::vector<std::string> texts;
  for (const auto& [text, times] : runs) {
    texts.push_back(times == 1 ? text : Text(times, " times: ", text));
  }
  if (told < plan.steps.size()) texts.push_back(Text(plan.steps.size() - told, " steps more"));
  return texts;
}

int64_t WeightBytes(const Plan& plan) {
  int64_t bytes = static_cast<int64_t>(plan.bias.size() * sizeof(float));
  for (const Step& step : plan.steps) bytes += BytesOf(plan, step);
  return bytes;
}

}  // namespace dyad
