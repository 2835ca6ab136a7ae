// Steps of a whole model: tests/bench/model_bench.h.
#include "tests/bench/model_bench.h"

#include <algorithm>
#include <memory>
#include <random>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/devices.h"
#include "server/engine/adjustments.h"
#include "server/engine/counter_random.h"
#include "tests/bench/timing.h"

namespace dyad::bench {
namespace {

using engine::Batch;
using engine::kPageTokens;

int64_t PagesOf(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

// Sequences of random ids with pages of their own.
class Sequences {
 public:
  Sequences(int64_t count, int64_t tokens, int32_t vocabulary) : pages_each_(PagesOf(tokens)) {
    std::mt19937 generator(1);
    std::uniform_int_distribution<int32_t> id(0, vocabulary - 1);
    for (int64_t i = 0; i < count; ++i) {
      auto& ids = ids_.emplace_back();
      for (int64_t t = 0; t < tokens; ++t) ids.push_back(id(generator));
    }
    for (int64_t p = 0; p < count * pages_each_; ++p) pages_.push_back(static_cast<int32_t>(p));
  }

  // Adds `tokens` of sequence `index` from `position` on.
  void AddChunk(int64_t index, int64_t position, int64_t tokens, Batch& batch) const {
    const auto& ids = ids_[static_cast<size_t>(index)];
    batch.chunks.push_back({static_cast<int32_t>(batch.ids.size()), static_cast<int32_t>(tokens),
                            static_cast<int32_t>(position),
                            std::span(pages_).subspan(static_cast<size_t>(index * pages_each_),
                                                      static_cast<size_t>(pages_each_))});
    batch.ids.insert(batch.ids.end(), ids.begin() + position, ids.begin() + position + tokens);
  }

  std::span<const int32_t> ids(int64_t index) const { return ids_[static_cast<size_t>(index)]; }
  int32_t id(int64_t index, int64_t position) const {
    return ids_[static_cast<size_t>(index)][static_cast<size_t>(position)];
  }
  int64_t count() const { return static_cast<int64_t>(ids_.size()); }

 private:
  int64_t pages_each_;
  std::vector<std::vector<int32_t>> ids_;
  std::vector<int32_t> pages_;
};

// What a step needs at least: each weight once, the keys and values that its rows look at once.
struct StepNeeds {
  double flops = 0;
  double bytes = 0;
};

class ModelBench {
 public:
  ModelBench(const LoadedModel& loaded, const TimingDevice& device,
             const engine::Sampling& sampling, const Roof& roof, kernels::ThreadPool& pool)
      : model_(*loaded.model),
        info_(loaded.info),
        device_(device),
        sampling_(sampling),
        roof_(roof),
        read_(kStreamBytes, pool) {}

  absl::StatusOr<ModelResult> Decode(int64_t sequences, int64_t context) {
    const Sequences all(sequences, context + 1, model_.limits().vocab_size);
    for (int64_t i = 0; i < sequences; ++i) {
      const absl::Status stored = Store(all, i, context);
      if (!stored.ok()) return stored;
    }
    Batch batch;
    for (int64_t i = 0; i < sequences; ++i) {
      all.AddChunk(i, context, 1, batch);
      AddDraw(static_cast<int32_t>(i), all.ids(i), batch);
    }
    return Time({.work = "decode", .sequences = sequences, .tokens = sequences, .context = context},
                batch);
  }

  absl::StatusOr<ModelResult> Prefill(int64_t tokens) {
    const Sequences one(1, tokens, model_.limits().vocab_size);
    Batch batch;
    one.AddChunk(0, 0, tokens, batch);
    AddDraw(static_cast<int32_t>(tokens - 1), one.ids(0), batch);
    return Time({.work = "prefill", .sequences = 1, .tokens = tokens}, batch);
  }

  absl::StatusOr<ModelResult> Score(int64_t tokens) {
    const Sequences one(1, tokens + 1, model_.limits().vocab_size);
    Batch batch;
    one.AddChunk(0, 0, tokens, batch);
    for (int64_t row = 0; row < tokens; ++row) {
      batch.score_rows.push_back({static_cast<int32_t>(row), one.id(0, row + 1), 0});
    }
    return Time({.work = "score", .sequences = 1, .tokens = tokens}, batch);
  }

 private:
  // A draw after a row, penalties on `ids` included.
  void AddDraw(int32_t row, std::span<const int32_t> ids, Batch& batch) const {
    engine::Adjustments adjustments(sampling_, ids);
    for (const int32_t id : ids.last(ids.size() / 2)) adjustments.Add(id);  // half of it generated
    const auto& list = adjustments.list();
    batch.draws.push_back({.row = row,
                           .temperature = sampling_.temperature,
                           .top_k = sampling_.top_k,
                           .top_p = sampling_.top_p,
                           .min_p = sampling_.min_p,
                           .uniform = engine::RandomAt({1, 0, row}),
                           .first_adjustment = static_cast<int32_t>(batch.adjustments.size()),
                           .adjustments = static_cast<int32_t>(list.size())});
    batch.adjustments.insert(batch.adjustments.end(), list.begin(), list.end());
  }

  absl::Status Store(const Sequences& all, int64_t index, int64_t context) const {
    const int64_t most = model_.limits().max_batch_tokens;
    for (int64_t position = 0; position < context; position += most) {
      Batch batch;
      all.AddChunk(index, position, std::min(most, context - position), batch);
      const auto stored = model_.Step(batch);
      if (!stored.ok()) return stored.status();
    }
    return absl::OkStatus();
  }

  StepNeeds Needs(const Batch& batch) const {
    const double kv_element_bytes = info_.kv_dtype == "int8"       ? 1
                                    : info_.kv_dtype == "bfloat16" ? 2
                                                                   : 4;
    const engine::StepCost cost = model_.cost();
    const auto rows = static_cast<double>(batch.ids.size());
    const auto head_rows = static_cast<double>(batch.draws.size() + batch.score_rows.size());
    const double kv_token_bytes =
        static_cast<double>(info_.kv_cache_bytes) / model_.limits().kv_pages / kPageTokens;
    StepNeeds needs = {cost.structured_flops_per_token * rows + cost.head_flops_per_row * head_rows,
                       cost.weight_bytes_per_step};
    for (const engine::Chunk& chunk : batch.chunks) {
      const double first = chunk.first_position, count = chunk.tokens;
      needs.bytes += kv_token_bytes * (first + count);
      // A query multiplies with each key and each value up to its own.
      needs.flops +=
          2 * kv_token_bytes / kv_element_bytes * (count * first + count * (count + 1) / 2);
    }
    return needs;
  }

  absl::StatusOr<ModelResult> Time(ModelResult result, const Batch& batch) {
    absl::Status status;
    double best = 0;
    const auto step = [&](int64_t) {
      const auto done = model_.Step(batch);
      if (!done.ok()) {
        status = done.status();
        return;
      }
      double seconds = 0;
      for (const double part : device_.times()) seconds += part;
      if (best == 0 || seconds < best) {
        best = seconds;
        result.times = device_.times();
      }
    };
    const auto pairs = TimePairs(step, [&] { return read_.BytesPerSecond(); });
    if (!status.ok()) return status;
    const StepNeeds needs = Needs(batch);
    result.seconds = BestSeconds(pairs);
    result.tokens_per_second = static_cast<double>(result.tokens) / result.seconds;
    result.fraction_of_roof = Median(pairs, [&](const Pair& pair) {
      return Roof{pair.reference, roof_.flops_per_second}.Seconds(needs.bytes, needs.flops) /
             pair.seconds;
    });
    return result;
  }

  engine::Model& model_;
  const ModelInfo& info_;
  const TimingDevice& device_;
  const engine::Sampling& sampling_;
  const Roof& roof_;
  StreamingRead read_;
};

}  // namespace

absl::StatusOr<std::vector<ModelResult>> BenchModel(const std::string& folder,
                                                    const ModelOptions& options,
                                                    const ModelWork& work, const Roof& roof,
                                                    kernels::ThreadPool& pool) {
  auto timing = std::make_unique<TimingDevice>(kernels::MakeCpuDevice(
      {.threads = pool.threads(),
       .arithmetic = options.arithmetic.value_or(kernels::Arithmetic::kExact)}));
  const TimingDevice& device = *timing;
  const absl::StatusOr<LoadedModel> loaded = LoadModel(folder, options, std::move(timing));
  if (!loaded.ok()) return loaded.status();
  const int64_t longest = std::max(work.decode_context, work.text_tokens) + 1;
  if (longest > loaded->model->limits().context_length) {
    return absl::InvalidArgumentError(absl::StrCat("a text has ", longest,
                                                   " tokens; the model's context has ",
                                                   loaded->model->limits().context_length));
  }
  const int32_t kv_pages = loaded->model->limits().kv_pages;
  for (const int64_t batch : work.batches) {
    const int64_t pages = batch * PagesOf(work.decode_context + 1);
    if (pages <= kv_pages) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(batch, " sequences of ", work.decode_context, " + 1 tokens need ", pages,
                     " pages of keys and values; the cache has ", kv_pages));
  }
  ModelBench bench(*loaded, device, work.sampling, roof, pool);
  std::vector<ModelResult> results;
  for (const int64_t batch : work.batches) {
    absl::StatusOr<ModelResult> decode = bench.Decode(batch, work.decode_context);
    if (!decode.ok()) return decode.status();
    results.push_back(*std::move(decode));
  }
  absl::StatusOr<ModelResult> prefill = bench.Prefill(work.text_tokens);
  if (!prefill.ok()) return prefill.status();
  absl::StatusOr<ModelResult> score = bench.Score(work.text_tokens);
  if (!score.ok()) return score.status();
  results.push_back(*std::move(prefill));
  results.push_back(*std::move(score));
  return results;
}

}  // namespace dyad::bench
