// PackedLinear: packs a plan and runs it over rows: in chunks, on a pool, each output on one
// thread.
#include "kernels/cpu/linear.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "kernels/cpu/narrow_rows.h"

namespace dyad::kernels {
namespace {

// Rows packed at once; bounds the scratch and keeps packed rows within the last cache.
constexpr int64_t kChunkRows = 256;
constexpr int64_t kChunkScratch = 1 << 23;  // floats of all buffers together
// Below this many multiply-adds the calling thread is done before another has woken up.
constexpr int64_t kWorthSharing = 1 << 17;
constexpr int64_t kWorthSharingRows = 1 << 14;  // floats to pack

ConstRows RowsFrom(ConstRows rows, int64_t first) {
  if (rows.data != nullptr) rows.data += first * rows.stride;
  return rows;
}
Rows RowsFrom(Rows rows, int64_t first) { return {rows.data + first * rows.stride, rows.stride}; }

// Packs all rows of x for `blocks`, on one thread.
PackedRows PackRows(const PackedContraction& contraction, BlockRange blocks, int64_t rows,
                    ConstRows x, Scratch& scratch) {
  auto* packed = scratch.Get<float>(ScratchUse::kRows, rows * blocks.count * contraction.depth());
  for (int64_t i = 0; i < RowTileCount(rows); ++i)
    PackRowTile(contraction, blocks, x, RowTileAt(rows, i), packed);
  return {packed, blocks};
}

// The same for all blocks, on the pool if it pays.
PackedRows PackAllRows(const PackedContraction& contraction, int64_t rows, ConstRows x,
                       Workspace& workspace) {
  const BlockRange blocks = contraction.all_blocks();
  const int64_t floats = rows * blocks.count * contraction.depth();
  if (floats < kWorthSharingRows) return PackRows(contraction, blocks, rows, x, workspace.scratch);
  auto* packed = workspace.scratch.Get<float>(ScratchUse::kRows, floats);
  const int64_t pieces = RowPieces(contraction, blocks);
  workspace.pool.Run(RowTileCount(rows) * pieces, [&](int64_t task) {
    PackRowPiece(contraction, blocks, x, RowTileAt(rows, task / pieces), task % pieces, packed);
  });
  return {packed, blocks};
}

// The blocks that are packed together with this one.
BlockRange BlocksAround(const PackedContraction& contraction, int64_t block) {
  const int64_t together = contraction.blocks_together();
  return {block / together * together, together};
}

int64_t PanelCount(std::span<const ContractionJob> jobs) {
  int64_t panels = 0;
  for (const ContractionJob& job : jobs) panels += job.contraction->all_panels().last;
  return panels;
}

int64_t BundleCount(std::span<const ContractionJob> jobs) {
  int64_t bundles = 0;
  for (const ContractionJob& job : jobs) bundles += job.contraction->bundles();
  return bundles;
}

// Whether each thread packs the rows that it needs: then nothing that was packed goes from one
// core's cache to another's, which may take longer than packing. If the threads are so many that
// each would pack almost as much as it multiplies, they share the work.
bool PacksByThread(std::span<const ContractionJob> jobs, int threads) {
  constexpr int64_t kLeastProducts = 64;  // for each float that is packed
  const PackedContraction& front = *jobs.front().contraction;
  const int64_t together = front.blocks_together();
  const int64_t turns = front.blocks / together;
  const int64_t packed = (turns + threads - 1) / threads * together * front.depth();
  const int64_t products = PanelCount(jobs) * kPanelOutputs * front.depth() / threads;
  return products >= kLeastProducts * packed;
}

void ContractWith(ContractionJob job, PackedRows rows, PanelRange panels, Scratch& scratch) {
  job.rows = rows;
  ContractPanels(job, panels, scratch);
}
void ContractWith(ContractionJob job, const NarrowRows& rows, PanelRange panels, Scratch& scratch) {
  job.narrow = rows;
  ContractPanels(job, panels, scratch);
}

// Jobs as yet without rows: those of x serve all of them. REQUIRES: they are packed alike.
void RunJobs(std::span<const ContractionJob> jobs, ConstRows x, Workspace& workspace) {
  ThreadPool& pool = workspace.pool;
  const PackedContraction& front = *jobs.front().contraction;
  const int64_t rows = jobs.front().row_count();
  const int64_t work = rows * PanelCount(jobs) * kPanelOutputs * front.depth();
  const auto run_here = [&](const auto& packed) {
    for (const ContractionJob& job : jobs)
      ContractWith(job, packed, job.contraction->all_panels(), workspace.scratch);
  };
  const bool alone = work < kWorthSharing || pool.threads() == 1;
  if (alone && front.is_exact()) {
    return run_here(PackRows(front, front.all_blocks(), rows, x, workspace.scratch));
  }
  // Threads take bundles of panels, counted through all jobs.
  const auto run_bundles = [&](const auto& rows_for) {
    pool.Run(BundleCount(jobs), [&](int64_t bundle, Worker& worker) {
      auto job = jobs.begin();
      for (; bundle >= job->contraction->bundles(); ++job) bundle -= job->contraction->bundles();
      const PanelRange panels = job->contraction->BundleAt(bundle);
      ContractWith(*job, rows_for(panels.first / job->contraction->panels(), worker), panels,
                   worker.scratch);
    });
  };
  if (!front.is_exact()) {
    const NarrowRows packed =
        PackNarrowRows(front, front.arithmetic, jobs.front().tokens, x, workspace);
    return alone ? run_here(packed) : run_bundles([&](int64_t, Worker&) { return packed; });
  }
  if (!PacksByThread(jobs, pool.threads())) {
    const PackedRows packed = PackAllRows(front, rows, x, workspace);
    return run_bundles([&](int64_t, Worker&) { return packed; });
  }
  // What each worker has packed last: the rows for the blocks around some block.
  auto* packed = workspace.scratch.Get<PackedRows>(ScratchUse::kTasks, pool.threads());
  std::fill_n(packed, pool.threads(), PackedRows());
  run_bundles([&](int64_t block, Worker& worker) {
    const BlockRange blocks = BlocksAround(front, block);
    PackedRows& mine = packed[worker.index];
    if (mine.data == nullptr || mine.blocks.first != blocks.first) {
      mine = PackRows(front, blocks, rows, x, worker.scratch);
    }
    return mine;
  });
}

// On the pool if the multiply-adds are worth it.
template <typename Task>
void RunTasks(int64_t tasks, int64_t work, Workspace& workspace, const Task& task) {
  if (work < kWorthSharing || workspace.pool.threads() == 1) {
    for (int64_t i = 0; i < tasks; ++i) task(i, workspace.scratch);
    return;
  }
  workspace.pool.Run(tasks, [&](int64_t i, Worker& worker) { task(i, worker.scratch); });
}

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
    : in_features_(plan.in_features()), out_features_(plan.out_features()) {
  int64_t groups = 1;
  for (const Step& step : plan.steps) {
    PackStep(step, plan, arithmetic, pool);
    if (const auto* const contract = std::get_if<Contract>(&step)) {
      groups = std::max(groups, contract->groups);
    }
  }
  multiply_adds_ = Cost(plan).multiply_adds;
  PlanBuffers(plan);
  chunk_tokens_ = std::max<int64_t>(
      1, std::min(kChunkRows / groups, kChunkScratch / std::max<int64_t>(1, scratch_floats_)));
  if (!fused_) {
    bias_ = plan.bias;
    return;
  }
  const auto& last = std::get<PackedContraction>(steps_.back().work);
  panel_bias_ = plan.bias.empty() ? last.bias : PackBias(last, plan.bias);
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
// outputs; where a step is so for a part of them, the buffer begins as zeros and all steps add.
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
    if (routed && !IsOfOneItem(plan, step.destination)) {  // it adds, for some rows
      if (!All(before)) buffers_[step.destination].zeroed = true;
      continue;
    }
    bool old = false, fresh = false;
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
    const Combine combine =
        buffers_[steps_[i].destination].zeroed ? Combine::kAccumulate : combines[i];
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

void PackedLinear::Apply(int64_t tokens, ConstRows x, Rows y, const Epilogue& epilogue,
                         Workspace& workspace) const {
  for (int64_t first = 0; first < tokens; first += chunk_tokens_) {
    const int64_t count = std::min(chunk_tokens_, tokens - first);
    const Epilogue rest = {epilogue.activation, RowsFrom(epilogue.residual, first)};
    if (one_step()) {
      const ContractionJob job = OneStepJob(count, RowsFrom(y, first), rest);
      RunJobs({&job, 1}, RowsFrom(x, first), workspace);
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
  for (size_t i = 0; i < steps_.size(); ++i) RunStep(i, run, workspace);
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
    RunJobs({&job, 1}, x, workspace);
  } else if (const auto* const mix = std::get_if<PackedMix>(&step.work)) {
    const MixJob job = {mix, run.tokens, x, y};
    RunTasks(mix->to, run.tokens * mix->multiply_adds(), workspace,
             [&](int64_t i, Scratch&) { MixBlock(job, i); });
  } else if (const auto* const list = std::get_if<PackedBlockList>(&step.work)) {
    RunTasks(std::ssize(list->places), run.tokens * list->multiply_adds(), workspace,
             [&](int64_t i, Scratch& scratch) {
               RunPlace(list->places[static_cast<size_t>(i)], run.tokens, x, y, scratch);
             });
  } else if (const auto* const route = std::get_if<PackedRoute>(&step.work)) {
    run.items[index] =
        ChooseItems(route->route, route->items, run.tokens, x, run.item_memory, workspace);
    run.item_memory += ItemRowsBytes(run.tokens, route->items);
  } else if (const auto* const routed = std::get_if<PackedRouted>(&step.work)) {
    RunRouted({routed, run.items[routed->routed.route], run.tokens, x, y}, workspace);
  }
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
    RunJobs({jobs.data(), outputs.size()}, RowsFrom(x, first), workspace);
  }
}

}  // namespace dyad::kernels
