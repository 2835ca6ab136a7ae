// The order within a step is part of the contract: README.md, "A step".
#include "server/engine/step_runner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/base/catch_exceptions.h"
#include "server/base/message_text.h"

namespace dyad::engine {
namespace {

constexpr absl::Time kNever = absl::InfiniteFuture();

SchedulerLimits LimitsFor(const ModelLimits& model, const EngineOptions& options) {
  return {std::clamp(options.max_batch_tokens, 1, std::max(1, model.max_batch_tokens)),
          std::clamp(options.max_running_sequences, 1, std::max(1, model.max_draws)),
          options.prefix_cache};
}

EndReason ReasonOf(const Outcome& outcome) {
  if (outcome.retry_after.has_value()) return EndReason::kOverload;
  switch (outcome.status.code()) {
    case absl::StatusCode::kOk:
      break;
    case absl::StatusCode::kCancelled:
      return EndReason::kCancelled;
    case absl::StatusCode::kDeadlineExceeded:
      return EndReason::kDeadline;
    case absl::StatusCode::kUnavailable:
      return EndReason::kUnavailable;
    default:
      return EndReason::kError;
  }
  switch (outcome.reason) {
    case FinishReason::kNone:
      return EndReason::kScored;
    case FinishReason::kLength:
      return EndReason::kLength;
    case FinishReason::kEos:
      return EndReason::kEos;
    case FinishReason::kStop:
      return EndReason::kStop;
  }
  return EndReason::kError;
}

bool AllFinite(float logprob, std::span<const TopToken> top) {
  return std::isfinite(logprob) && std::ranges::all_of(top, [](const TopToken& candidate) {
           return candidate.id >= 0 && std::isfinite(candidate.logprob);
         });
}

// Finite weights may still overflow on some tokens; such a number means nothing to anybody.
absl::Status NotFinite(int32_t position, const Sequence& sequence) {
  return absl::InternalError(
      Text("the model's log-probabilities at position ", position,
           " of the tokens fed, counted from 0, are not finite; ",
           sequence.failure.empty()
               ? "it overflows on these tokens, or a gate gives them shares that add up to 0"
               : sequence.failure));
}

// Phases that were not reached are empty; the one in which it ended lasts until now.
Timing TimingOf(const Sequence& sequence, absl::Time now) {
  const absl::Time scheduled = std::min(sequence.scheduled, now);
  const absl::Time prompt_done = std::min(sequence.prompt_done, now);
  return {scheduled - sequence.submitted, prompt_done - scheduled, now - prompt_done};
}

}  // namespace

StepRunner::StepRunner(Model& model, const EngineOptions& options, ModelMetrics& metrics,
                       Clock clock)
    : model_(model),
      metrics_(metrics),
      clock_(std::move(clock)),
      cost_(model.cost()),
      pool_(model.limits().kv_pages),
      tree_(pool_),
      scheduler_(LimitsFor(model.limits(), options), pool_, tree_) {}

void StepRunner::Add(std::unique_ptr<Sequence> sequence) { scheduler_.Add(std::move(sequence)); }

void StepRunner::PlanStep() {
  begin_ = clock_();
  EndUnwanted(begin_);
  EndHopeless(begin_);
  CollectEnded(begin_);
  plan_ = &scheduler_.Schedule();
  NoteAdmissions(*plan_, begin_);
}

void StepRunner::FinishStep() {
  const Plan& plan = *plan_;
  const absl::StatusOr<StepResult> step =
      CatchExceptions("step", [&]() -> absl::StatusOr<StepResult> {
        batch_.Fill(plan);
        if (plan.tokens == 0) return StepResult();
        return model_.Step(batch_.batch());
      });
  const absl::Time end = clock_();
  if (!step.ok()) {
    ++failed_steps_;
    if (absl::IsUnavailable(step.status())) lost_ = std::string(step.status().message());
    EndChunks(plan, step.status());
  } else if (plan.tokens > 0) {
    failed_steps_ = 0;
  }
  Deliver(plan, step.ok() ? *step : StepResult(), end);
  CollectEnded(end);
  ReportStep(plan, end);
}

void StepRunner::EndUnwanted(absl::Time now) {
  const auto check = [&](Sequence& sequence) {
    if (!sequence.sink->Wanted()) {
      scheduler_.End(sequence, absl::CancelledError("nobody waits for the result"));
    } else if (sequence.request.deadline <= now) {
      scheduler_.End(sequence, absl::DeadlineExceededError("the deadline has passed"));
    }
  };
  for (const auto& sequence : scheduler_.running()) check(*sequence);
  for (const auto& sequence : scheduler_.waiting()) check(*sequence);
}

// What could not end before its deadline even if it began now, and nothing else did, is not begun:
// it would take time from those that can. An idle engine refuses nobody, as waiting would not help.
void StepRunner::EndHopeless(absl::Time now) {
  const auto& waiting = scheduler_.waiting();
  const auto running = static_cast<int32_t>(scheduler_.running().size());
  const int32_t beside = std::min(running + 1, scheduler_.limits().max_running_sequences);
  const absl::Duration a_token = forecast_.StepTime(beside, 0) * forecast_.GeneratedShare();
  const absl::Duration retry_after = forecast_.RetryAfter(scheduler_.Queued());
  for (const auto& sequence : waiting) {
    const bool alone = running == 0 && sequence == waiting.front();
    const bool begun = sequence->scheduled != kNever;
    if (sequence->request.deadline == kNever || alone || begun) continue;
    const absl::Duration needed = a_token * sequence->request.max_new_tokens;
    const absl::Duration left = sequence->request.deadline - now;
    if (needed <= left) continue;
    scheduler_.End(*sequence, CannotEndInTime(needed, left), FinishReason::kNone, retry_after);
  }
}

void StepRunner::EndAll(const absl::Status& status) {
  for (const auto& sequence : scheduler_.running()) scheduler_.End(*sequence, status);
  for (const auto& sequence : scheduler_.waiting()) scheduler_.End(*sequence, status);
  begin_ = clock_();
  CollectEnded(begin_);
  ReportStep({}, begin_);
}

void StepRunner::NoteAdmissions(const Plan& plan, absl::Time now) {
  for (size_t i = 0; i < plan.preempted.size(); ++i) metrics_.OnPreempted();
  for (const PlannedChunk& chunk : plan.chunks) {
    Sequence& sequence = *chunk.sequence;
    if (sequence.scheduled != kNever) continue;  // its wait and its hits are counted
    sequence.scheduled = now;
    sequence.cached_tokens = sequence.stored + chunk.shared;
    metrics_.OnPrefixCache(sequence.length(), sequence.cached_tokens);
  }
}

// Ends whoever had tokens in the batch. Nothing that the model stores is trusted after that: what
// the failed step wrote may be in pages that the tree shares.
void StepRunner::EndChunks(const Plan& plan, const absl::Status& status) {
  for (const PlannedChunk& chunk : plan.chunks) {
    if (chunk.tokens > 0) scheduler_.End(*chunk.sequence, status);
  }
  tree_.Clear();
}

// The sequence fails once a number of its own is not finite: rows that it asks nothing of may fail.
void StepRunner::NoteFailure(const Plan& plan, const PlannedChunk& chunk,
                             const StepResult& result) {
  Sequence& sequence = *chunk.sequence;
  const std::span<const int32_t> rows = plan.RowsOf(chunk);
  for (const FailedRow& failed : result.failed) {
    const auto found = std::ranges::find(rows, failed.row);
    if (found == rows.end() || !sequence.failure.empty()) continue;
    sequence.failure =
        Text("the shares that the gate of layer ", failed.layer, " gives the token at position ",
             sequence.stored + (found - rows.begin()), " add up to 0 or to no finite number");
  }
}

// What others asked for with the same row and target may have more competitors than this sequence
// wants.
absl::Status StepRunner::TakeScores(const Plan& plan, const PlannedChunk& chunk,
                                    const StepResult& result) {
  Sequence& sequence = *chunk.sequence;
  const std::span<const int32_t> rows = plan.RowsOf(chunk);
  const ScoredRange scored = ScoredBy(chunk);
  for (int32_t i = scored.begin; i < scored.end; ++i) {
    const int32_t row = rows[i - 1 - sequence.stored];
    const TokenScore& found = result.scores[batch_.ScoreIndex(
        {.row = row, .target = sequence.target_at(i), .set = sequence.set_at(i)})];
    const auto top =
        std::span(found.top).first(std::min<size_t>(found.top.size(), sequence.request.top_n));
    if (!AllFinite(found.logprob, top) || !std::isfinite(found.set_logprob)) {
      return NotFinite(i, sequence);
    }
    sequence.scores.push_back(
        {found.logprob, found.rank, {top.begin(), top.end()}, found.set_logprob});
  }
  return absl::OkStatus();
}

void StepRunner::Deliver(const Plan& plan, const StepResult& result, absl::Time now) {
  for (size_t i = 0; i < plan.chunks.size(); ++i) {
    const PlannedChunk& chunk = plan.chunks[i];
    Sequence& sequence = *chunk.sequence;
    if (sequence.outcome.has_value()) continue;
    const GeneratedToken* token = DrawsToken(chunk) ? &result.drawn[batch_.DrawIndex(i)] : nullptr;
    if (chunk.tokens > 0) {
      NoteFailure(plan, chunk, result);
      absl::Status taken = TakeScores(plan, chunk, result);
      if (token != nullptr && !AllFinite(token->logprob, token->top)) {
        taken.Update(NotFinite(sequence.length(), sequence));
      }
      if (!taken.ok()) {
        // Nothing of this step is offered to the prefix tree.
        scheduler_.End(sequence, taken);
        continue;
      }
      scheduler_.Store(sequence, chunk.tokens);
    }
    if (sequence.remaining() > 0) continue;
    // What becomes of an answer is the one part whose memory the request decides.
    const absl::Status told = CatchExceptions("answer", [&] {
      if (sequence.prompt_done == kNever) {
        sequence.prompt_done = now;
        if (!sequence.scores.empty()) sequence.sink->OnScores(sequence.scores);
        if (!sequence.generates()) scheduler_.End(sequence, absl::OkStatus());
      }
      if (token != nullptr) DeliverToken(sequence, *token, now);
      return absl::OkStatus();
    });
    if (!told.ok() && !sequence.outcome.has_value()) scheduler_.End(sequence, told);
  }
}

void StepRunner::DeliverToken(Sequence& sequence, const GeneratedToken& token, absl::Time now) {
  if (sequence.last_token == kNever) {
    metrics_.OnFirstToken(now - sequence.submitted);
  } else {
    metrics_.OnInterToken(now - sequence.last_token);
  }
  sequence.last_token = now;
  sequence.ids.push_back(token.id);
  sequence.adjustments.Add(token.id);
  const Verdict verdict = sequence.sink->OnToken(token);
  const Request& request = sequence.request;
  const auto is_token = [&](int32_t id) { return id == token.id; };
  FinishReason reason = FinishReason::kNone;
  if (std::ranges::any_of(request.eos_ids, is_token)) {
    reason = FinishReason::kEos;
  } else if (verdict == Verdict::kStop || std::ranges::any_of(request.stop_ids, is_token)) {
    reason = FinishReason::kStop;
  } else if (sequence.generated() == request.max_new_tokens) {
    reason = FinishReason::kLength;
  }
  if (reason != FinishReason::kNone) {
    scheduler_.End(sequence, absl::OkStatus(), reason);
  }
}

void StepRunner::CollectEnded(absl::Time now) {
  for (std::unique_ptr<Sequence>& sequence : scheduler_.TakeEnded()) {
    Outcome& outcome = *sequence->outcome;
    outcome.timing = TimingOf(*sequence, now);
    outcome.cached_tokens = sequence->cached_tokens;
    outcome.device_lost = absl::IsUnavailable(outcome.status) && !lost_.empty();
    SequenceStats stats;
    stats.reason = ReasonOf(outcome);
    stats.queue = outcome.timing.queue;
    stats.prefill = outcome.timing.prefill;
    stats.decode = outcome.timing.decode;
    stats.end_to_end = now - sequence->submitted;
    stats.prompt_tokens = sequence->prompt_tokens;
    stats.generated_tokens = sequence->generated();
    if (sequence->prompt_done != kNever) {
      stats.scored_tokens = static_cast<int32_t>(sequence->scores.size());
    }
    metrics_.OnFinished(stats);
    if (outcome.status.ok() && sequence->generates()) {
      forecast_.OnGenerated(stats.generated_tokens, sequence->request.max_new_tokens);
    }
    numbers_changed_ = true;
    ended_.push_back(std::move(sequence));
  }
}

int32_t StepRunner::NotifyEnded() {
  for (const auto& sequence : ended_) sequence->sink->OnEnd(*sequence->outcome);
  const auto count = static_cast<int32_t>(ended_.size());
  ended_.clear();
  return count;
}

void StepRunner::ReportStep(const Plan& plan, absl::Time end) {
  StepStats stats;
  stats.duration = end - begin_;
  stats.tokens = plan.tokens;
  stats.sequences = static_cast<int32_t>(std::ranges::count_if(
      plan.chunks, [](const PlannedChunk& chunk) { return chunk.tokens > 0; }));
  const auto& waiting = scheduler_.waiting();
  const auto& running = scheduler_.running();
  stats.waiting = static_cast<int32_t>(waiting.size());
  stats.running = static_cast<int32_t>(running.size());
  stats.pages_used = pool_.total() - pool_.available();
  stats.pages_total = pool_.total();
  stats.structured_flops = cost_.structured_flops_per_token * plan.tokens;
  stats.dense_equivalent_flops = cost_.dense_equivalent_flops_per_token * plan.tokens;
  stats.weight_bytes = plan.tokens > 0 ? cost_.weight_bytes_per_step : 0;
  // Without rows it was no step; the numbers are told if they changed.
  if (plan.tokens > 0 || numbers_changed_) metrics_.OnStep(stats);
  numbers_changed_ = false;
  forecast_.OnStep({stats.tokens, stats.sequences, stats.waiting}, stats.duration);
}

Outlook StepRunner::MakeOutlook() const {
  const SchedulerLimits& limits = scheduler_.limits();
  const Room room = {limits.max_running_sequences, limits.max_batch_tokens, pool_.total(),
                     pool_.total() - pool_.available()};
  std::vector<RunningWork> running;
  running.reserve(scheduler_.running().size());
  for (const auto& sequence : scheduler_.running()) {
    running.push_back({sequence->remaining(), sequence->queued().new_tokens});
  }
  return {forecast_, room, running, scheduler_.clients()};
}

EngineStatus StepRunner::Status() const {
  EngineStatus status;
  status.waiting = static_cast<int32_t>(scheduler_.waiting().size());
  status.running = static_cast<int32_t>(scheduler_.running().size());
  status.free_pages = pool_.available();
  status.failed_steps = failed_steps_;
  status.lost = lost_;
  const auto& waiting = scheduler_.waiting();
  const auto& running = scheduler_.running();
  if (!waiting.empty()) status.waiting_since = waiting.front()->submitted;
  if (!running.empty()) status.running_since = running.front()->submitted;
  return status;
}

}  // namespace dyad::engine
