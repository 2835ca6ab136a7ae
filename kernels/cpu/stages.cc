// kernels/cpu/stages.h.
#include "kernels/cpu/stages.h"

#include <algorithm>

namespace dyad::kernels {
namespace {

// Null: not routed.
const Contract* RoutedStep(const Plan& plan, size_t index) {
  const auto* const step = std::get_if<Contract>(&plan.steps[index]);
  return step != nullptr && step->routed.route >= 0 ? step : nullptr;
}

// Steps [first, last) of one Route.
struct Run {
  size_t first, last;
};
Run RunAt(const Plan& plan, size_t first) {
  const int route = RoutedStep(plan, first)->routed.route;
  size_t last = first;
  while (last < plan.steps.size() && RoutedStep(plan, last) != nullptr &&
         RoutedStep(plan, last)->routed.route == route) {
    ++last;
  }
  return {first, last};
}

// Whether step `index` may run before all others of the run: it reads what stands before the run,
// and writes what only rows of its item have and nobody has touched in the run.
bool MayBeginTheRun(const Plan& plan, Run run, size_t index) {
  const Contract& step = *RoutedStep(plan, index);
  if (step.destination == 1 || !IsOfOneItem(plan, static_cast<size_t>(step.destination))) {
    return false;
  }
  for (size_t i = run.first; i < run.last; ++i) {
    const Contract& other = *RoutedStep(plan, i);
    if (other.destination == step.source) return false;
    const bool touches = other.destination == step.destination || other.source == step.destination;
    if (i < index && touches) return false;
  }
  return true;
}

// Whether both have the same blocks of the same destination, and rows that are packed by the same
// number of blocks.
bool SameBlocks(const Contract& a, const Contract& b) {
  const auto alike = [](const Term& one, const Term& other) {
    View view = one.source;
    view.offset = other.source.offset;
    return view == other.source;
  };
  return a.destination == b.destination && a.blocks == b.blocks && a.groups == b.groups &&
         a.outputs == b.outputs && a.view == b.view && a.routed.item_block == b.routed.item_block &&
         std::equal(a.terms.begin(), a.terms.end(), b.terms.begin(), b.terms.end(), alike);
}

void AddRun(const Plan& plan, Run run, std::vector<Stage>& stages) {
  Stage first;
  std::vector<size_t> rest;
  for (size_t i = run.first; i < run.last; ++i) {
    (MayBeginTheRun(plan, run, i) ? first.steps : rest).push_back(i);
  }
  if (!first.steps.empty()) stages.push_back(std::move(first));
  for (size_t i = 0; i < rest.size(); ++i) {
    if (i > 0 && SameBlocks(*RoutedStep(plan, rest[i - 1]), *RoutedStep(plan, rest[i]))) {
      stages.back().steps.push_back(rest[i]);
    } else {
      stages.push_back({{rest[i]}, true});
    }
  }
}

}  // namespace

std::vector<Stage> StagesOf(const Plan& plan) {
  std::vector<Stage> stages;
  for (size_t i = 0; i < plan.steps.size();) {
    if (RoutedStep(plan, i) == nullptr) {
      stages.push_back({{i++}});
      continue;
    }
    const Run run = RunAt(plan, i);
    AddRun(plan, run, stages);
    i = run.last;
  }
  return stages;
}

}  // namespace dyad::kernels
