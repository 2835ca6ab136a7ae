// Threads that each take the next arrival, wait until it is due, and run the request.
#include "tests/bench/load.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/mutex.h"

namespace dyad::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kLate = 1e-3;  // seconds

Ids RandomIds(const LoadOptions& options, std::mt19937_64& random) {
  std::uniform_int_distribution<int32_t> id(0, options.vocab_size - 1);
  Ids ids(static_cast<size_t>(options.prompt_tokens));
  for (int32_t& drawn : ids) drawn = id(random);
  return ids;
}

// What one request came to. Times are in seconds since the start of the load.
struct Outcome {
  absl::Status status;
  double due = 0, sent = 0, end = 0;
  double first_token = 0, last_token = 0;
  struct Gap {
    double seconds = 0;  // for each of
    int64_t tokens = 0;
  };
  std::vector<Gap> gaps;
  int64_t tokens_in = 0, tokens_out = 0, scored_tokens = 0, cached_tokens = 0;
};

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options), arrivals_(options.arrivals) {}

  // Runs requests until the load is over. Threads: any number.
  void Run(Target& target) {
    while (const auto arrival = arrivals_.Next(Now())) {
      std::this_thread::sleep_until(start_ + std::chrono::duration_cast<Clock::duration>(
                                                 std::chrono::duration<double>(arrival->due)));
      Outcome outcome;
      outcome.due = arrival->due;
      outcome.sent = Now();
      // A request's ids depend on its number, not on the thread that sends it.
      const uint64_t base = options_.arrivals.seed;
      std::seed_seq seed = {base & 0xffffffff, base >> 32, static_cast<uint64_t>(arrival->number)};
      std::mt19937_64 random(seed);
      outcome.status = options_.task == Task::kGenerate ? Generate(target, random, outcome)
                                                        : Score(target, random, outcome);
      outcome.end = Now();
      Record(outcome);
    }
  }

  LoadResult Result() {
    const MutexLock lock(&mu_);
    return result_;
  }

 private:
  double Now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  absl::Status Generate(Target& target, std::mt19937_64& random, Outcome& outcome) const {
    outcome.gaps.reserve(static_cast<size_t>(options_.new_tokens));
    const auto answer =
        target.Generate(RandomIds(options_, random), options_.new_tokens, [&](int64_t tokens) {
          const double now = Now();
          if (outcome.tokens_out == 0) {
            outcome.first_token = now;  // tokens that come with the first have no gap to tell of
          } else {
            outcome.gaps.push_back(
                {(now - outcome.last_token) / static_cast<double>(tokens), tokens});
          }
          outcome.last_token = now;
          outcome.tokens_out += tokens;
        });
    if (!answer.ok()) return answer.status();
    if (outcome.tokens_out != options_.new_tokens) {
      return absl::InternalError(
          absl::StrCat("the answer has ", outcome.tokens_out,
                       " tokens; expected new_tokens = ", options_.new_tokens));
    }
    outcome.tokens_in = options_.prompt_tokens;
    outcome.cached_tokens = answer->cached_tokens;
    return absl::OkStatus();
  }

  absl::Status Score(Target& target, std::mt19937_64& random, Outcome& outcome) const {
    std::vector<Ids> texts;
    for (int32_t i = 0; i < options_.items; ++i) texts.push_back(RandomIds(options_, random));
    const auto answer = target.Score(texts);
    if (!answer.ok()) return answer.status();
    outcome.scored_tokens = answer->scored_tokens;
    outcome.tokens_in = int64_t{options_.items} * options_.prompt_tokens;
    outcome.cached_tokens = answer->cached_tokens;
    return absl::OkStatus();
  }

  void Record(const Outcome& outcome) {
    const MutexLock lock(&mu_);
    ++result_.sent;
    const bool open = options_.arrivals.rate.has_value();
    if (open && outcome.sent - outcome.due > kLate) ++result_.late;
    result_.seconds = std::max(result_.seconds, outcome.end);
    if (!outcome.status.ok()) {
      ++result_.errors[absl::StatusCodeToString(outcome.status.code())];
      result_.first_error.Update(outcome.status);
      return;
    }
    ++result_.succeeded;
    result_.tokens_in += outcome.tokens_in;
    result_.tokens_out += outcome.tokens_out;
    result_.scored_tokens += outcome.scored_tokens;
    result_.cached_tokens += outcome.cached_tokens;
    result_.request.Add(outcome.end - outcome.due);
    if (options_.task == Task::kScore) return;
    const double ttft = outcome.first_token - outcome.due;
    result_.ttft.Add(ttft);
    for (const Outcome::Gap& gap : outcome.gaps) result_.token.Add(gap.seconds, gap.tokens);
    const auto gaps = static_cast<double>(std::max<int64_t>(1, outcome.tokens_out - 1));
    const double mean_gap = (outcome.last_token - outcome.first_token) / gaps;
    if (ttft <= options_.ttft_limit && mean_gap <= options_.token_limit) ++result_.good;
  }

  const LoadOptions& options_;
  const Clock::time_point start_ = Clock::now();
  Arrivals arrivals_;
  Mutex mu_;
  LoadResult result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

LoadResult RunLoad(const LoadOptions& options, std::span<const std::unique_ptr<Target>> targets) {
  Load load(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < options.in_flight; ++i) {
    threads.emplace_back([&, target = targets[static_cast<size_t>(i) % targets.size()].get()] {
      load.Run(*target);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return load.Result();
}

}  // namespace dyad::bench
