// Plain loops over rows: kernels/reference/device.h.
#include "kernels/reference/device.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/attention.h"
#include "kernels/reference/draw.h"
#include "kernels/reference/int8_attention.h"
#include "kernels/reference/layer.h"
#include "kernels/reference/norm.h"
#include "kernels/reference/plan.h"
#include "kernels/reference/score.h"

namespace dyad::kernels::reference {

DeviceInfo ReferenceDevice::info() const { return {.name = "reference"}; }

void ReferenceDevice::RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) {
  for (int64_t task = 0; task < tasks; ++task) run(task);
}

std::unique_ptr<Layer> ReferenceDevice::Pack(const Plan& plan) {
  return std::make_unique<ReferenceLayer>(plan);
}

std::unique_ptr<Table> ReferenceDevice::MakeTable(TableSource source) {
  return std::make_unique<ReferenceTable>(source);
}

std::unique_ptr<Norm> ReferenceDevice::MakeNorm(NormSource source) {
  return std::make_unique<ReferenceNorm>(std::move(source));
}

Matrix ReferenceDevice::Allocate(int64_t rows, int64_t columns) {
  memory_.push_back(std::make_unique<Memory>());
  memory_.back()->values.resize(static_cast<size_t>(rows * columns), NAN);
  memory_.back()->magnitudes.resize(static_cast<size_t>(rows * columns), NAN);
  return {memory_.back().get(), 0, rows, columns, columns};
}

int64_t ReferenceDevice::KvPageBytes(const AttentionShape& shape, KvType) const {
  return 2 * shape.heads * shape.head_size * kPageTokens * static_cast<int64_t>(sizeof(double));
}

Fault ReferenceDevice::MapKv(KvSpec spec) {
  kv_ = std::move(spec);
  return {};
}

std::span<const float> ReferenceDevice::Row(Matrix matrix, int64_t row) {
  return std::span(MemoryOf(matrix).values)
      .subspan(static_cast<size_t>(matrix.first + row * matrix.stride),
               static_cast<size_t>(matrix.columns));
}

void ReferenceDevice::Put(Matrix matrix, int64_t row, int64_t column, double value,
                          double magnitude) {
  const auto at = static_cast<size_t>(matrix.first + row * matrix.stride + column);
  MemoryOf(matrix).values[at] = static_cast<float>(value);
  MemoryOf(matrix).magnitudes[at] = magnitude;
}

void ReferenceDevice::Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup,
                            Matrix y) {
  const auto indices = index == IndexedBy::kId ? input_.ids : input_.positions;
  for (int64_t row = 0; row < y.rows; ++row) {
    const std::vector<double> values =
        static_cast<const ReferenceTable&>(table).Row(indices[static_cast<size_t>(row)] + offset);
    for (int64_t i = 0; i < y.columns; ++i) {
      const double value = values[static_cast<size_t>(i)];
      const double before = lookup == Lookup::kAdd ? Row(y, row)[static_cast<size_t>(i)] : 0.0;
      Put(y, row, i, before + value, std::abs(before) + std::abs(value));
    }
  }
}

void ReferenceDevice::Normalize(const Norm& norm, Matrix x, Matrix y) {
  const NormSource& source = static_cast<const ReferenceNorm&>(norm).source;
  for (int64_t row = 0; row < x.rows; ++row) {
    const NormResult result =
        reference::Normalize(Row(x, row), source.weight, source.bias, source.epsilon);
    for (int64_t i = 0; i < x.columns; ++i) {
      const auto at = static_cast<size_t>(i);
      Put(y, row, i, result.y[at], result.magnitude[at]);
    }
  }
}

void ReferenceDevice::Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
                            const Finishing& finishing) {
  const std::vector<float> rows = Read(x);
  for (const auto& [layer, y] : outputs) {
    std::vector<float> residual;
    Epilogue epilogue = {.activation = finishing.activation, .residual = {}};
    if (finishing.residual.data != nullptr) {
      residual = Read(finishing.residual);
      epilogue.residual = {residual.data(), y.columns};
    }
    const PlanResult result = reference::Apply(static_cast<const ReferenceLayer&>(*layer).plan(),
                                               x.rows, {rows.data(), x.columns}, epilogue);
    for (int64_t i = 0; i < y.rows * y.columns; ++i) {
      const auto at = static_cast<size_t>(i);
      const double added = residual.empty() ? 0.0 : std::abs(residual[at]);
      Put(y, i / y.columns, i % y.columns, result.y[at], result.magnitude[at] + added);
    }
  }
}

std::vector<double> ReferenceDevice::AttendInt8(const RotaryTable& rotary, int64_t position,
                                                std::span<const float> query,
                                                std::span<const std::vector<double>> keys,
                                                std::span<const std::vector<double>> values) const {
  const auto floats_of = [&](std::span<const std::vector<double>> rows) {
    std::vector<std::vector<float>> floats;
    for (const std::vector<double>& row : rows.first(static_cast<size_t>(position) + 1)) {
      floats.emplace_back(row.begin(), row.end());
    }
    return floats;
  };
  const std::vector<float> out =
      reference::AttendInt8(kv_.shape, RotatedFloats(kv_.shape, rotary, position, query),
                            floats_of(keys), floats_of(values));
  return {out.begin(), out.end()};
}

void ReferenceDevice::Attend(int64_t layer, const Qkv& qkv, Matrix out) {
  Stored& stored = stored_[layer];
  const RotaryTable rotary = {kv_.cos, kv_.sin};
  const auto head_of = [&](Matrix matrix, int64_t row, int64_t head) {
    return Row(matrix, row)
        .subspan(static_cast<size_t>(head * qkv.head_stride),
                 static_cast<size_t>(kv_.shape.head_size));
  };
  const auto store = [&](int64_t row, int64_t slot) {
    const int64_t position = input_.positions[static_cast<size_t>(row)];
    for (int64_t head = 0; head < kv_.shape.heads; ++head) {
      stored.keys[{slot, head}] =
          StoredKey(kv_.shape, rotary, position, head_of(qkv.k, row, head), kv_.type);
      stored.values[{slot, head}] = StoredValue(head_of(qkv.v, row, head), kv_.type);
    }
  };
  for (int64_t row = 0; row < out.rows; ++row) store(row, input_.slots[static_cast<size_t>(row)]);
  for (const ExtraStore& extra : input_.also) store(extra.row, extra.slot);

  for (const AttentionChunk& chunk : input_.chunks) {
    for (int64_t head = 0; head < kv_.shape.heads; ++head) {
      std::vector<std::vector<double>> keys, values;
      for (int64_t position = 0; position < chunk.first_position + chunk.tokens; ++position) {
        const int64_t page =
            input_.pages[static_cast<size_t>(chunk.first_page + position / kPageTokens)];
        const int64_t slot = page * kPageTokens + position % kPageTokens;
        keys.push_back(stored.keys[{slot, head}]);
        values.push_back(stored.values[{slot, head}]);
      }
      std::vector<std::span<const float>> queries;
      for (int64_t t = 0; t < chunk.tokens; ++t) {
        queries.push_back(head_of(qkv.q, chunk.first_row + t, head));
      }
      std::vector<HeadResult> results = AttendHead(kv_.shape, rotary, queries, keys, values);
      if (kv_.type == KvType::kInt8) {
        for (size_t t = 0; t < results.size(); ++t) {
          results[t].out = AttendInt8(rotary, chunk.first_position + static_cast<int64_t>(t),
                                      queries[t], keys, values);
        }
      }
      int64_t row = chunk.first_row;
      for (const HeadResult& result : results) {
        for (int64_t d = 0; d < kv_.shape.head_size; ++d) {
          const auto at = static_cast<size_t>(d);
          Put(out, row, head * kv_.shape.head_size + d, result.out[at], result.magnitude[at]);
        }
        ++row;
      }
    }
  }
}

void ReferenceDevice::Finish(const Layer& head, Matrix hidden, Matrix) {
  const std::vector<float> rows = Read(hidden);
  const PlanResult result = reference::Apply(static_cast<const ReferenceLayer&>(head).plan(),
                                             hidden.rows, {rows.data(), hidden.columns}, {});
  const int64_t vocabulary = head.out_features();
  std::vector<std::vector<double>> logits;
  for (int64_t row = 0; row < hidden.rows; ++row) {
    logits.emplace_back(result.y.begin() + row * vocabulary,
                        result.y.begin() + (row + 1) * vocabulary);
  }
  scores_.clear(), draws_.clear(), top_.clear(), score_magnitudes_.clear();
  for (const ScoreRow& score : input_.scores) {
    score_magnitudes_.push_back(
        result.magnitude[static_cast<size_t>(score.row * vocabulary + score.target)]);
  }
  ScoreRows(logits);
  DrawRows(logits);
}

int32_t ReferenceDevice::AddTop(std::span<const double> logits, double log_sum_exp, int32_t n) {
  const auto first = static_cast<int32_t>(top_.size());
  for (const int64_t id : Top(logits, n)) {
    top_.push_back({static_cast<int32_t>(id),
                    static_cast<float>(logits[static_cast<size_t>(id)] - log_sum_exp)});
  }
  return first;
}

void ReferenceDevice::ScoreRows(std::span<const std::vector<double>> logits) {
  for (const ScoreRow& score : input_.scores) {
    const std::vector<double>& row = logits[static_cast<size_t>(score.row)];
    const double log_sum_exp = LogSumExp(row);
    const double of_set =
        score.set == 0 ? 0 : LogSumExpOfSet(row, input_.id_sets, score.set) - log_sum_exp;
    scores_.push_back({static_cast<float>(row[static_cast<size_t>(score.target)] - log_sum_exp),
                       static_cast<int32_t>(Rank(row, score.target)),
                       AddTop(row, log_sum_exp, score.top_n), of_set});
  }
}

void ReferenceDevice::DrawRows(std::span<const std::vector<double>> logits) {
  for (const DrawRow& draw : input_.draws) {
    const std::vector<double>& row = logits[static_cast<size_t>(draw.row)];
    const std::vector<float> rounded(row.begin(), row.end());
    const int32_t id = Draw(rounded, draw,
                            input_.adjustments.subspan(static_cast<size_t>(draw.first_adjustment),
                                                       static_cast<size_t>(draw.adjustments)));
    const double log_sum_exp = LogSumExp(row);
    draws_.push_back({id, static_cast<float>(row[static_cast<size_t>(id)] - log_sum_exp),
                      AddTop(row, log_sum_exp, draw.top_n)});
  }
}

StepOutput ReferenceDevice::End() {
  return {.scores = scores_, .draws = draws_, .top = top_, .error = {}};
}

void ReferenceDevice::Write(Matrix matrix, std::span<const float> values) {
  for (int64_t i = 0; i < matrix.rows * matrix.columns; ++i) {
    const double value = values[static_cast<size_t>(i)];
    Put(matrix, i / matrix.columns, i % matrix.columns, value, std::abs(value));
  }
}

std::vector<float> ReferenceDevice::Read(Matrix matrix) {
  std::vector<float> values;
  for (int64_t row = 0; row < matrix.rows; ++row) {
    const std::span<const float> from = Row(matrix, row);
    values.insert(values.end(), from.begin(), from.end());
  }
  return values;
}

std::vector<double> ReferenceDevice::Magnitudes(Matrix matrix) const {
  std::vector<double> values;
  for (int64_t row = 0; row < matrix.rows; ++row) {
    const auto first = MemoryOf(matrix).magnitudes.begin() + matrix.first + row * matrix.stride;
    values.insert(values.end(), first, first + matrix.columns);
  }
  return values;
}

}  // namespace dyad::kernels::reference
