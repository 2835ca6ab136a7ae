// kernels/reference/layer.h.
#include "kernels/reference/layer.h"

#include <cstring>
#include <utility>
#include <variant>

#include "kernels/reference/integer.h"
#include "kernels/reference/plan.h"

namespace dyad::kernels::reference {

const void* ReferenceLayer::Keep(const void* data, int64_t bytes) {
  kept_.push_back(std::make_unique<std::byte[]>(static_cast<size_t>(bytes)));
  std::memcpy(kept_.back().get(), data, static_cast<size_t>(bytes));
  return kept_.back().get();
}

ReferenceLayer::ReferenceLayer(const Plan& plan) : plan_(plan) {
  const auto keep = [&](Weights& weights) {
    const int64_t bytes = weights.elements * ElementBytes(weights.element);
    weights.data = Keep(weights.data, bytes);
    bytes_ += bytes;
  };
  for (Step& step : plan_.steps) {
    if (auto* const mix = std::get_if<Mix>(&step)) keep(mix->weights);
    if (auto* const list = std::get_if<BlockList>(&step)) keep(list->weights);
    auto* const contract = std::get_if<Contract>(&step);
    if (contract == nullptr) continue;
    for (Term& term : contract->terms) keep(term.weights);
    if (contract->bias.empty()) continue;
    const auto* bias = static_cast<const float*>(
        Keep(contract->bias.data(), static_cast<int64_t>(contract->bias.size_bytes())));
    contract->bias = {bias, contract->bias.size()};
  }
}

ReferenceTable::ReferenceTable(const TableSource& source) : columns_(source.columns) {
  for (int64_t row = 0; row < source.rows; ++row) {
    std::vector<double> values;
    for (int64_t i = 0; i < columns_; ++i) {
      values.push_back(WeightAt(source.data, source.stored, row * columns_ + i));
    }
    if (source.type == Element::kInt8) values = ThroughInt8(std::move(values));
    values_.insert(values_.end(), values.begin(), values.end());
  }
}

std::vector<double> ReferenceTable::Row(int64_t id) const {
  const auto first = values_.begin() + id * columns_;
  return {first, first + columns_};
}

}  // namespace dyad::kernels::reference
