// Counts who has to end first, and in how many steps; then how long such steps take.
#include "server/engine/outlook.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/model.h"

namespace dyad::engine {

absl::Status CannotEndInTime(absl::Duration needed, absl::Duration left) {
  return absl::ResourceExhaustedError(
      absl::StrCat("too busy to end before the deadline: it is ", absl::FormatDuration(left),
                   " away, and as steps go now the request takes ", absl::FormatDuration(needed)));
}

Outlook::Outlook(const Forecast& forecast, const Room& room,
                 const std::vector<RunningWork>& running, Clients clients)
    : forecast_(forecast),
      room_(room),
      clients_(std::move(clients)),
      pages_at_end_(room.pages_used) {
  steps_left_.reserve(running.size());
  for (const RunningWork& work : running) {
    steps_left_.push_back(Steps(work.tokens, work.new_tokens));
    tokens_left_ += work.tokens;
    pages_at_end_ +=
        forecast_.GeneratedShare() * static_cast<double>(work.new_tokens) / kPageTokens;
    if (work.new_tokens > 0) ++generating_;
  }
  std::ranges::sort(steps_left_);
  for (const auto& [id, client] : clients_) {
    waiting_.Add(client.waiting);
    if (client.running > 1) second_runs_ = true;
  }
}

void Outlook::Queue(uint64_t client, const QueuedWork& work) {
  clients_[client].waiting.Add(work);
  waiting_.Add(work);
}

double Outlook::Steps(int64_t tokens, int64_t new_tokens) const {
  return static_cast<double>(tokens) / room_.max_batch_tokens +
         forecast_.GeneratedShare() * static_cast<double>(new_tokens);
}

// What has its turn before this client's next sequence: the turn is of whoever runs least.
QueuedWork Outlook::AheadOf(const ClientLoad& client) const {
  const int64_t turn = client.running + client.waiting.sequences;
  QueuedWork ahead;
  for (const auto& [id, other] : clients_) {
    const int64_t waiting = other.waiting.sequences;
    const int64_t before = std::clamp<int64_t>(turn + 1 - other.running, 0, waiting);
    if (before == 0) continue;
    ahead.Add({static_cast<int32_t>(before), other.waiting.tokens * before / waiting,
               other.waiting.new_tokens * before / waiting});
  }
  return ahead;
}

// How many have to end before there is a place, and pages for everybody's whole length.
int64_t Outlook::EndsBefore(const QueuedWork& ahead, const QueuedWork& sequence) const {
  const double needed = pages_at_end_ + forecast_.Tokens(ahead) / kPageTokens;
  const double missing = needed + forecast_.Tokens(sequence) / kPageTokens - room_.pages;
  const auto here = static_cast<double>(running() + ahead.sequences);
  const int64_t for_pages =
      missing > 0 && needed > 0 ? static_cast<int64_t>(missing / needed * here) + 1 : 0;
  return std::max({int64_t{0}, running() + ahead.sequences + 1 - room_.places, for_pages});
}

// Those running end one by one; then those that took their places, and so on.
double Outlook::StepsUntil(int64_t ends, const QueuedWork& ahead) const {
  if (ends == 0) return 0;
  const double mean = Steps(ahead.tokens, ahead.new_tokens) / std::max(1, ahead.sequences);
  if (running() == 0) return mean * static_cast<double>(ends);
  const auto index = static_cast<size_t>((ends - 1) % running());
  return steps_left_[index] + mean * static_cast<double>((ends - 1) / running());
}

absl::Duration Outlook::TimeToEnd(uint64_t client, const QueuedWork& sequence) const {
  const auto found = clients_.find(client);
  const ClientLoad load = found == clients_.end() ? ClientLoad() : found->second;
  const QueuedWork ahead = AheadOf(load);
  // A client with nothing here gets the place of another's second.
  const bool at_once = second_runs_ && load.running + load.waiting.sequences == 0;
  const int64_t ends = at_once ? 0 : EndsBefore(ahead, sequence);
  const auto others = static_cast<double>(
      std::clamp<int64_t>(running() + ahead.sequences - ends, 0, room_.places - 1));
  // Those that only score are gone when their ids are stored.
  const double decodes =
      std::min<double>(others, generating_ + (ahead.new_tokens > 0 ? ahead.sequences : 0));
  const double busiest = std::max(others + 1, static_cast<double>(running()));
  const absl::Duration until_place =
      forecast_.StepTime(busiest, forecast_.MoreRows()) * StepsUntil(ends, ahead);
  const absl::Duration until_rows =
      forecast_.TimeToRun({0, tokens_left_ + ahead.tokens, 0}, decodes, room_.max_batch_tokens);
  return std::max(until_place, until_rows) +
         forecast_.TimeToRun(sequence, decodes, room_.max_batch_tokens);
}

}  // namespace dyad::engine
