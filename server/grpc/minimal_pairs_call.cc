// One ScoreMinimalPairs call.
#include "server/grpc/minimal_pairs_call.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "server/api/request_error.h"
#include "server/api/score_result.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

// Results gather while a write is in flight; a message stays well below the 4 MiB that clients read
// by default.
constexpr size_t kMessageBytes = size_t{1} << 20;
// How long pairs wait if the engine's queue is full of other calls' work. An upper bound because
// the end of the stream waits for the alarm too.
constexpr absl::Duration kMaxWait = absl::Milliseconds(250);

// Four groups of the largest size fit into a stream: while one's results are written, the others
// keep the engine's steps full.
size_t MaxGroupPairs(const RequestLimits& limits) {
  return static_cast<size_t>(std::max(1, limits.max_stream_pairs / 4));
}

}  // namespace

MinimalPairsCall::MinimalPairsCall(RpcCall call)
    : state_(call.state()),
      deadline_(call.deadline()),
      group_pairs_(MaxGroupPairs(state_.limits)),
      call_(std::move(call)) {
  StartRead(&message_in_);
}

void MinimalPairsCall::OnReadDone(bool ok) {
  const bool is_first = options_.model == nullptr;
  absl::StatusOr<std::vector<v1::PairScore>> bad_pairs;
  if (ok) bad_pairs = ParseMessage();  // not under mutex_: it encodes
  Update([&] {
    intake_ = Intake::kClosed;
    if (!ok || !failure_.ok()) return;
    if (!bad_pairs.ok()) return Fail(bad_pairs.status());
    intake_ = Intake::kSubmits;
    if (!message_in_.pairs().empty()) call_.NotePrompt(message_in_.pairs(0).good());
    in_flight_ += bad_pairs->size();
    std::move(bad_pairs->begin(), bad_pairs->end(), std::back_inserter(results_));
    if (!is_first) return;
    call_.SetModel(*options_.model);
    header_.emplace();
    header_->set_convention(options_.row->convention);
    header_->set_request_id(call_.record().request_id);
    header_->set_model(options_.model->name);
    header_->set_model_digest(options_.model->info.digest);
  });
}

void MinimalPairsCall::OnWriteDone(bool ok) {
  if (!ok) OnCancel();
  Update([&] {
    pending_ = Action::kNone;
    // What was written made room.
    if (intake_ == Intake::kWaitsForRoom) intake_ = Intake::kSubmits;
  });
}

void MinimalPairsCall::OnCancel() {
  Update([&] {
    Fail(absl::CancelledError("the client cancelled the call"));
    results_.clear();
    // The engine sees it at its next step.
    for (const auto& [group, owned] : groups_) group->Abandon();
  });
}

void MinimalPairsCall::OnGroupEnd(PairGroup& group) {
  std::vector<v1::PairScore> results = group.Results();
  std::map<PairGroup*, std::unique_ptr<PairGroup>>::node_type ended;
  Update([&] {
    ended = groups_.extract(&group);
    group.AddTo(call_);
    std::move(results.begin(), results.end(), std::back_inserter(results_));
    Fail(group.failure());
  });
}

void MinimalPairsCall::OnDone() {
  {
    MutexLock lock(&mutex_);
    call_.Report();
  }
  delete this;
}

template <typename Change>
void MinimalPairsCall::Update(const Change& change) {
  Action action;
  bool submits;
  {
    MutexLock lock(&mutex_);
    submits = intake_ != Intake::kSubmits;
    change();
    submits = submits && intake_ == Intake::kSubmits;
    action = NextAction();
  }
  Make(action);
  if (submits) SubmitPairs();
}

MinimalPairsCall::Action MinimalPairsCall::NextAction() {
  if (pending_ != Action::kNone) return Action::kNone;
  const bool all_ended = groups_.empty() && intake_ == Intake::kClosed;
  if (!results_.empty() || (header_.has_value() && failure_.ok() && all_ended)) {
    message_out_.Clear();
    if (header_.has_value()) message_out_ = *std::exchange(header_, std::nullopt);
    for (size_t bytes = 0; !results_.empty() && bytes < kMessageBytes; --in_flight_) {
      bytes += results_.front().ByteSizeLong();
      *message_out_.add_results() = std::move(results_.front());
      results_.pop_front();
    }
    return pending_ = Action::kWrite;
  }
  // A failed stream does not wait for its client's next message.
  const bool has_failed = !failure_.ok() && groups_.empty() && intake_ == Intake::kReads;
  if (!all_ended && !has_failed) return Action::kNone;
  result_ = call_.End(failure_);
  return pending_ = Action::kFinish;
}

void MinimalPairsCall::Make(Action action) {
  if (action == Action::kWrite) StartWrite(&message_out_);
  if (action == Action::kFinish) Finish(result_);
}

void MinimalPairsCall::Fail(const absl::Status& status) {
  if (status.ok() || !failure_.ok()) return;
  failure_ = status;
  if (intake_ == Intake::kWaitsForRoom) intake_ = Intake::kClosed;
}

absl::StatusOr<std::vector<v1::PairScore>> MinimalPairsCall::ParseMessage() {
  RETURN_IF_ERROR(CheckPairCount(message_in_));
  if (options_.model == nullptr) {
    ASSIGN_OR_RETURN(options_, ParsePairOptions(message_in_, state_.models));
  }
  std::vector<v1::PairScore> bad_pairs;
  for (const v1::MinimalPair& pair : message_in_.pairs()) {
    absl::StatusOr<PairPlan> plan = ParsePair(pair, options_, state_.limits);
    if (plan.ok()) {
      parsed_.push_back(*std::move(plan));
    } else {
      bad_pairs.push_back(ToPairError(pair.index(), plan.status()));
    }
  }
  return bad_pairs;
}

void MinimalPairsCall::SubmitPairs() {
  PairGroup* group = nullptr;
  absl::Status refused;
  Action action = Action::kNone;
  bool waits_for_alarm = false;
  do {
    {
      MutexLock lock(&mutex_);
      if (!refused.ok()) OnRefused(*group, refused);
      group = NextGroup();
      if (group == nullptr) action = NextAction();
      waits_for_alarm = intake_ == Intake::kWaitsForAlarm;
    }
    // It may be gone when this returns.
    if (group != nullptr) refused = group->Submit(state_);
  } while (group != nullptr);
  if (waits_for_alarm) return SetAlarm(refused);
  Make(action);
}

PairGroup* MinimalPairsCall::NextGroup() {
  if (intake_ != Intake::kSubmits) return nullptr;
  const auto max_pairs = static_cast<size_t>(state_.limits.max_stream_pairs);
  if (!failure_.ok()) {
    intake_ = Intake::kClosed;
  } else if (in_flight_ >= max_pairs) {
    intake_ = Intake::kWaitsForRoom;
  } else if (parsed_.empty()) {
    intake_ = Intake::kReads;
    StartRead(&message_in_);
  } else {
    const size_t count = std::min({parsed_.size(), group_pairs_, max_pairs - in_flight_});
    group_pairs_ = std::min(2 * group_pairs_, MaxGroupPairs(state_.limits));
    in_flight_ += count;
    const auto end = parsed_.begin() + static_cast<ptrdiff_t>(count);
    std::vector<PairPlan> plans(std::move_iterator(parsed_.begin()), std::move_iterator(end));
    parsed_.erase(parsed_.begin(), end);
    auto group = std::make_unique<PairGroup>(options_, std::move(plans), deadline_,
                                             [this](PairGroup& ended) { OnGroupEnd(ended); });
    return groups_.emplace(group.get(), std::move(group)).first->first;
  }
  return nullptr;
}

void MinimalPairsCall::OnRefused(PairGroup& group, const absl::Status& refused) {
  std::vector<PairPlan> plans = group.TakePlans();
  groups_.erase(&group);
  in_flight_ -= plans.size();
  const bool full = absl::IsResourceExhausted(refused);
  if (!full && !absl::IsInvalidArgument(refused)) return Fail(refused);
  if (!full && plans.size() == 1) {
    ++in_flight_;
    return results_.push_back(ToPairError(plans[0].index, refused));
  }
  // Too many at once, or one of them at fault: fewer.
  group_pairs_ = std::max(size_t{1}, plans.size() / 2);
  parsed_.insert(parsed_.begin(), std::move_iterator(plans.begin()),
                 std::move_iterator(plans.end()));
  if (plans.size() > 1 || !failure_.ok()) return;
  // If something of this stream is on its way, OnWriteDone will come; else only time helps.
  const bool moves = !groups_.empty() || !results_.empty() || pending_ == Action::kWrite;
  intake_ = moves ? Intake::kWaitsForRoom : Intake::kWaitsForAlarm;
}

void MinimalPairsCall::SetAlarm(const absl::Status& refused) {
  const absl::Duration delay = std::min(RetryAfter(refused).value_or(kMaxWait), kMaxWait);
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(delay),
              [this](bool) { Update([&] { intake_ = Intake::kSubmits; }); });
}

}  // namespace dyad
