// A progress line: the text is a pure function of the state, the class adds clock and screen.
#include "server/base/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/steady_clock.h"

namespace dyad {
namespace {

constexpr int kBarWidth = 24;
constexpr absl::Duration kDrawEvery = absl::Milliseconds(100);

}  // namespace

std::string MinutesAndSeconds(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  const int64_t hours = seconds / 3600;
  if (hours > 0) {
    return absl::StrFormat("%d:%02d:%02d", hours, seconds / 60 % 60, seconds % 60);
  }
  return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
}

std::string FormatProgress(const ProgressState& state) {
  const double seconds = absl::ToDoubleSeconds(state.elapsed);
  const auto fresh = static_cast<double>(state.done - state.skipped);
  const double rate = seconds > 0 ? fresh / seconds : 0.0;
  const std::string speed = absl::StrFormat("%.1f %s/s", rate, state.unit);
  if (!state.total.has_value()) return absl::StrCat(state.done, " ", state.unit, "  ", speed);

  const int64_t total = std::max<int64_t>(*state.total, 1);
  const int64_t done = std::clamp<int64_t>(state.done, 0, total);
  const int filled = static_cast<int>(done * kBarWidth / total);
  std::string bar(static_cast<size_t>(filled), '=');
  bar.resize(kBarWidth, ' ');
  std::string line = absl::StrFormat("%d/%d %s [%s] %5.1f %%  %s", state.done, *state.total,
                                     state.unit, bar, 100.0 * done / total, speed);
  if (rate > 0) {
    const double left = static_cast<double>(total - done) / rate;
    absl::StrAppend(&line, "  ETA ", MinutesAndSeconds(absl::Seconds(left)));
  }
  return line;
}

Progress::Progress(std::ostream& out, Screen screen, ProgressState start)
    : out_(out),
      screen_(screen),
      start_(SteadyNow()),
      state_(std::move(start)),
      drawn_(absl::InfinitePast()) {
  state_.done = state_.skipped;
}

Progress::~Progress() {
  if (screen_ != Screen::kTerminal) return;
  MutexLock lock(&mutex_);
  Draw();
  out_ << '\n' << std::flush;
}

void Progress::Add(int64_t count) {
  MutexLock lock(&mutex_);
  state_.done += count;
  if (screen_ == Screen::kTerminal && SteadyNow() - drawn_ >= kDrawEvery) Draw();
}

ProgressState Progress::State() const {
  MutexLock lock(&mutex_);
  return Now();
}

ProgressState Progress::Now() const {
  ProgressState now = state_;
  now.elapsed = SteadyNow() - start_;
  return now;
}

void Progress::Draw() {
  std::string line = FormatProgress(Now());
  const size_t width = line.size();
  if (width < width_) line.resize(width_, ' ');
  width_ = width;
  out_ << '\r' << line << std::flush;
  drawn_ = SteadyNow();
}

}  // namespace dyad
