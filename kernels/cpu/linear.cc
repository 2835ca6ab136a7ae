// PackedLinear: packs a plan and runs it over rows: in chunks, on a pool, each output on one
// thread.
#include "kernels/cpu/linear.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

namespace dyad::kernels {
namespace {

// Rows packed at once; bounds the scratch and keeps packed rows within the last cache.
constexpr int64_t kChunkRows = 256;
constexpr int64_t kChunkScratch = 1 << 23;  // floats of all buffers together
// Of layers whose weights stay in the last cache: half a second cache, in which the next step then
// finds what a step wrote. Others would read their weights from memory once more.
constexpr int64_t kTileScratch = 1 << 17;     // floats
constexpr int64_t kTileTokens = 24;           // at least
constexpr int64_t kRoutedTokens = 64;         // the same where a part of them meets an item
constexpr int64_t kCachedWeights = 16 << 20;  // bytes
constexpr int64_t kSmallWeights = 1 << 20;    // which stay in the second cache
// What a thread takes at least, if it runs all steps alone: it reads all weights, and nothing that
// a step writes goes from one core's cache to another's.
constexpr int64_t kSharedTokens = 8;
constexpr int64_t kSharedTokensOfSmall = 2;

ConstRows RowsFrom(ConstRows rows, int64_t first) {
  if (rows.data != nullptr) rows.data += first * rows.stride;
  return rows;
}
Rows RowsFrom(Rows rows, int64_t first) { return {rows.data + first * rows.stride, rows.stride}; }

// Whether one packing of x serves all these layers.
bool ShareRows(std::span<const LinearOutput> outputs) {
  if (!outputs.front().layer->one_step()) return false;
  const PackedContraction& front = outputs.front().layer->contraction();
  return std::all_of(outputs.begin(), outputs.end(), [&](const LinearOutput& output) {
    if (!output.layer->one_step()) return false;
    const PackedContraction& other = output.layer->contraction();
    return other.blocks == front.blocks && other.groups == front.groups &&
           other.term_depth == front.term_depth && other.sources == front.sources &&
           other.arithmetic == front.arithmetic;
  });
}

// Which features a step writes for the rows that it runs for.
std::vector<bool> WrittenByChosen(const Step& step, int64_t width) {
  if (const auto* const contract = std::get_if<Contract>(&step)) {
    Contract everywhere = *contract;
    everywhere.routed = {};
    return WrittenFeatures(everywhere, width);
  }
  return WrittenFeatures(step, width);
}

bool All(const std::vector<bool>& features) {
  return std::find(features.begin(), features.end(), false) == features.end();
}

}  // namespace

PackedLinear::PackedLinear(const Plan& plan, ThreadPool* pool, Arithmetic arithmetic)
    : in_features_(plan.in_features()),
      out_features_(plan.out_features()),
      stages_(StagesOf(plan)) {
  int64_t groups = 1;
  for (const Step& step : plan.steps) {
    PackStep(step, plan, arithmetic, pool);
    if (const auto* const contract = std::get_if<Contract>(&step)) {
      groups = std::max(groups, contract->groups);
      if (contract->destination == 1 && contract->view.stride != 1) blocks_share_lines_ = true;
    }
  }
  multiply_adds_ = Cost(plan).multiply_adds;
  PlanBuffers(plan);
  FuseMixes();
  chunk_tokens_ = ChunkTokens(groups);
  shared_tokens_ = weight_bytes_ <= kSmallWeights ? kSharedTokensOfSmall : kSharedTokens;
  if (item_bytes_ > 0) shared_tokens_ = kRoutedTokens;
  if (!fused_) {
    bias_ = plan.bias;
    return;
  }
  const auto& last = std::get<PackedContraction>(steps_.back().work);
  panel_bias_ = plan.bias.empty() ? last.bias : PackBias(last, plan.bias);
}

int64_t PackedLinear::ChunkTokens(int64_t groups) const {
  const int64_t scratch = std::max<int64_t>(1, scratch_floats_);
  const int64_t most = std::max<int64_t>(1, std::min(kChunkRows / groups, kChunkScratch / scratch));
  if (scratch_floats_ == 0 || weight_bytes_ > kCachedWeights) return most;
  // With x and y where each block writes to the lines of y that the one before wrote to, and where
  // there is so little to multiply that rows are most of what is read and written.
  const bool whole = (blocks_share_lines_ && fused_) || weight_bytes_ <= kSmallWeights;
  const int64_t kept = scratch + (whole ? in_features_ + out_features_ : 0);
  const int64_t least = item_bytes_ > 0 ? kRoutedTokens : kTileTokens;
  return std::min(most, std::max(least, kTileScratch / kept));
}

void PackedLinear::PackStep(const Step& step, const Plan& plan, Arithmetic arithmetic,
                            ThreadPool* pool) {
  PackedStep packed;
  if (const auto* const route = std::get_if<Route>(&step)) {
    const auto logits = static_cast<size_t>(route->logits);
    packed = {PackedRoute{*route, plan.widths[logits]}, logits, logits};
    item_bytes_ += ItemRowsBytes(1, plan.widths[logits]);
  } else if (const auto* const mix = std::get_if<Mix>(&step)) {
    PackedMix work = PackMix(*mix);
    weight_bytes_ += work.weights.bytes();
    packed = {std::move(work), static_cast<size_t>(mix->source),
              static_cast<size_t>(mix->destination)};
  } else if (const auto* const list = std::get_if<BlockList>(&step)) {
    PackedBlockList work = PackBlockList(*list, plan);
    weight_bytes_ += work.weight_bytes();
    packed = {std::move(work), static_cast<size_t>(list->source),
              static_cast<size_t>(list->destination)};
  } else if (const auto* const contract = std::get_if<Contract>(&step)) {
    PackedContraction work = PackWeights(*contract, plan, pool, arithmetic);
    weight_bytes_ += work.weight_bytes();
    packed.source = static_cast<size_t>(contract->source);
    packed.destination = static_cast<size_t>(contract->destination);
    if (contract->routed.route < 0) {
      packed.work = std::move(work);
    } else {
      work.combine = Combine::kAccumulate;
      packed.work = PackedRouted{std::move(work), contract->routed};
    }
  }
  steps_.push_back(std::move(packed));
}

// Where buffers lie, and which steps assign. A step assigns if it is the first to write all of its
// outputs; where a step is so for a part of them, the buffer begins as zeros and it adds.
void PackedLinear::PlanBuffers(const Plan& plan) {
  buffers_.resize(plan.widths.size());
  std::vector<std::vector<bool>> written;
  for (const int64_t width : plan.widths) written.emplace_back(static_cast<size_t>(width), false);
  int64_t writers_of_y = 0;
  std::vector<Combine> combines(steps_.size(), Combine::kAccumulate);
  for (size_t i = 0; i < steps_.size(); ++i) {
    const PackedStep& step = steps_[i];
    if (step.source != 0 && !All(written[step.source])) buffers_[step.source].zeroed = true;
    if (std::holds_alternative<PackedRoute>(step.work)) continue;
    writers_of_y += step.destination == 1 ? 1 : 0;
    std::vector<bool>& before = written[step.destination];
    const bool routed = std::holds_alternative<PackedRouted>(step.work);
    const bool of_some = routed && !IsOfOneItem(plan, step.destination);  // it adds, for some rows
    if (of_some && !All(before)) buffers_[step.destination].zeroed = true;
    bool old = of_some, fresh = false;
    const std::vector<bool> now = WrittenByChosen(plan.steps[i], plan.widths[step.destination]);
    for (size_t feature = 0; feature < now.size(); ++feature) {
      if (!now[feature]) continue;
      (before[feature] ? old : fresh) = true;
      before[feature] = true;
    }
    combines[i] = old ? Combine::kAccumulate : Combine::kAssign;
    if (old && fresh) buffers_[step.destination].zeroed = true;
  }
  if (!All(written[1])) buffers_[1].zeroed = true;
  const auto* const last = std::get_if<PackedContraction>(&steps_.back().work);
  const bool bias_fits =
      last != nullptr && (plan.bias.empty() || (last->bias.empty() && last->groups == 1));
  fused_ = steps_.back().destination == 1 && writers_of_y == 1 && !buffers_[1].zeroed && bias_fits;
  for (size_t i = fused_ ? 2 : 1; i < buffers_.size(); ++i) {
    buffers_[i].width = plan.widths[i];
    scratch_floats_ += plan.widths[i];
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Combine combine = combines[i];
    auto& work = steps_[i].work;
    if (auto* const contraction = std::get_if<PackedContraction>(&work)) {
      contraction->combine = combine;
    } else if (auto* const routed = std::get_if<PackedRouted>(&work)) {
      routed->contraction.combine = combine;
    } else if (auto* const mix = std::get_if<PackedMix>(&work)) {
      mix->combine = combine;
    } else if (auto* const list = std::get_if<PackedBlockList>(&work)) {
      list->SetCombine(combine);
    }
  }
}

// Mixes of which only the next step reads the result, block by block, leave it to that step.
void PackedLinear::FuseMixes() {
  for (size_t i = 0; i + 1 < steps_.size(); ++i) {
    const auto* const mix = std::get_if<PackedMix>(&steps_[i].work);
    const auto* const next = std::get_if<PackedContraction>(&steps_[i + 1].work);
    const size_t mixed = steps_[i].destination;
    if (mix == nullptr || next == nullptr || mixed == 1 || steps_[i + 1].source != mixed) continue;
    int64_t uses = 0;
    for (const PackedStep& step : steps_) {
      uses += (step.source == mixed ? 1 : 0) + (step.destination == mixed ? 1 : 0);
    }
    if (uses != 2 || !Mixes(*mix, *next)) continue;
    steps_[i].mixed_by_next = true;
    scratch_floats_ -= buffers_[mixed].width;
    buffers_[mixed] = {};
  }
}

void PackedLinear::Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                         Workspace& workspace) const {
  const Tiles tiles = TilesOf(tokens, workspace.pool.threads());
  const auto run = [&](int64_t i, Workspace& of_thread) {
    RunTile(PartAt(tokens, tiles.count, i), x, y, epilogue, of_thread);
  };
  if (!tiles.shared) {
    for (int64_t i = 0; i < tiles.count; ++i) run(i, workspace);
    return;
  }
  workspace.pool.Run(tiles.count, [&](int64_t i, Worker& worker) { run(i, workspace.Of(worker)); });
  workspace.TakeFailures();
}

PackedLinear::Tiles PackedLinear::TilesOf(int64_t tokens, int threads) const {
  const int64_t count = PartCount(tokens, chunk_tokens_);
  const bool shared = threads > 1 && !one_step() && weight_bytes_ <= kCachedWeights &&
                      tokens >= threads * shared_tokens_ &&
                      tokens * multiply_adds_ >= kWorthSharing;
  return {shared ? PartCount(count, threads) * threads : count, shared};
}

void PackedLinear::RunTile(Part tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                           Workspace& workspace) const {
  const auto [first, count] = tokens;
  const Epilogue rest = {epilogue.activation, RowsFrom(epilogue.residual, first)};
  if (one_step()) {
    const ContractionJob job = OneStepJob(count, RowsFrom(y, first), rest);
    RunJobs({&job, 1}, {RowsFrom(x, first)}, workspace);
  } else {
    RunSteps(count, RowsFrom(x, first), RowsFrom(y, first), rest, workspace);
  }
  // After the activation, which may make a number of what is none.
  for (const int64_t row : workspace.failed_rows) {
    std::fill_n(y.data + (first + row) * y.stride, out_features_,
                std::numeric_limits<float>::quiet_NaN());
    workspace.failures.push_back({this, first + row});
  }
  workspace.failed_rows.clear();
}

ContractionJob PackedLinear::OneStepJob(int64_t tokens, Rows y, const Epilogue& epilogue) const {
  return {.contraction = &contraction(),
          .rows = {},
          .tokens = tokens,
          .y = y,
          .bias = panel_bias(),
          .epilogue = epilogue};
}

// Where y is written in several steps, its sums gather in scratch, because y may be the residual.
void PackedLinear::RunSteps(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                            Workspace& workspace) const {
  auto* next = workspace.scratch.Get<float>(ScratchUse::kSums, tokens * scratch_floats_);
  auto* rows = workspace.scratch.Get<Rows>(ScratchUse::kBuffers, std::ssize(buffers_));
  for (size_t i = 1; i < buffers_.size(); ++i) {
    const auto& [width, zeroed] = buffers_[i];
    rows[i] = {next, width};
    if (zeroed) std::fill_n(next, tokens * width, 0.0f);
    next += tokens * width;
  }
  Run run = {.tokens = tokens, .x = x, .rows = rows};
  run.items = workspace.scratch.Get<ItemRows>(ScratchUse::kItems, std::ssize(steps_));
  if (item_bytes_ > 0) {
    run.item_memory = workspace.scratch.Get<std::byte>(ScratchUse::kItemRows, tokens * item_bytes_);
  }
  if (fused_) run.last = {.y = y, .bias = panel_bias(), .epilogue = epilogue};
  for (const Stage& stage : stages_) {
    if (std::holds_alternative<PackedRouted>(steps_[stage.steps.front()].work)) {
      RunRoutedSteps(stage, run, workspace);
    } else {
      RunStep(stage.steps.front(), run, workspace);
    }
  }
  if (fused_) return;
  const FinishJob finish = {.sum = {rows[1].data, rows[1].stride},
                            .y = y,
                            .features = out_features_,
                            .bias = bias_.empty() ? nullptr : bias_.data(),
                            .epilogue = epilogue};
  workspace.pool.Run(RowTileCount(tokens),
                     [&](int64_t i) { FinishRows(finish, RowTileAt(tokens, i)); });
}

void PackedLinear::RunStep(size_t index, Run& run, Workspace& workspace) const {
  const PackedStep& step = steps_[index];
  const Rows& source = run.rows[step.source];
  const ConstRows x = step.source == 0 ? run.x : ConstRows{source.data, source.stride};
  const Rows y = run.rows[step.destination];
  if (const auto* const contraction = std::get_if<PackedContraction>(&step.work)) {
    ContractionJob job = {.y = y,
                          .bias = contraction->bias.empty() ? nullptr : contraction->bias.data()};
    if (fused_ && index + 1 == steps_.size()) job = run.last;
    job.contraction = contraction;
    job.tokens = run.tokens;
    const bool mixes = index > 0 && steps_[index - 1].mixed_by_next;
    RunJobs({&job, 1}, mixes ? run.mixed : RowSource{x}, workspace);
  } else if (const auto* const mix = std::get_if<PackedMix>(&step.work)) {
    run.mixed = {x, mix};
    if (step.mixed_by_next) return;
    const MixJob job = {mix, run.tokens, x, y};
    RunTasks(mix->to, run.tokens * mix->multiply_adds(), workspace,
             [&](int64_t i, Scratch&) { MixBlock(job, i); });
  } else if (const auto* const list = std::get_if<PackedBlockList>(&step.work)) {
    RunBlockList(*list, run.tokens, x, y, workspace);
  } else if (const auto* const route = std::get_if<PackedRoute>(&step.work)) {
    run.items[index] =
        ChooseItems(route->route, route->items, run.tokens, x, run.item_memory, workspace);
    run.item_memory += ItemRowsBytes(run.tokens, route->items);
  }
}

void PackedLinear::RunRoutedSteps(const Stage& stage, const Run& run, Workspace& workspace) const {
  auto* const jobs = workspace.scratch.Get<RoutedJob>(ScratchUse::kTasks, std::ssize(stage.steps));
  size_t count = 0;
  for (const size_t index : stage.steps) {
    const PackedStep& step = steps_[index];
    const auto& work = std::get<PackedRouted>(step.work);
    const Rows& source = run.rows[step.source];
    const ConstRows x = step.source == 0 ? run.x : ConstRows{source.data, source.stride};
    const RoutedJob job = {&work, run.items[work.routed.route], run.tokens, x,
                           run.rows[step.destination]};
    if (job.multiply_adds() > 0) jobs[count++] = job;
  }
  RunRouted({jobs, count}, stage.in_order ? RoutedOrder::kBlockByBlock : RoutedOrder::kApart,
            workspace);
}

void ApplyTogether(int64_t tokens, ConstRows x, std::span<const LinearOutput> outputs,
                   Workspace& workspace) {
  if (!ShareRows(outputs)) {
    for (const auto& [layer, y] : outputs) layer->Apply(tokens, x, y, {}, workspace);
    return;
  }
  std::array<ContractionJob, kMostTogether> jobs;
  for (int64_t first = 0; first < tokens; first += kChunkRows) {
    const int64_t count = std::min(kChunkRows, tokens - first);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto& [layer, y] = outputs[i];
      jobs[i] = layer->OneStepJob(count, RowsFrom(y, first), {});
    }
    RunJobs({jobs.data(), outputs.size()}, {RowsFrom(x, first)}, workspace);
  }
}

}  // namespace dyad::kernels
