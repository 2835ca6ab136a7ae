// Flags of a load: tests/bench/load_flags.h.
#include "tests/bench/load_flags.h"

#include <string_view>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "tests/bench/flag_values.h"

ABSL_FLAG(std::string, task, "generate", "server, engine: generate or score");
ABSL_FLAG(int, clients, 16,
          "server, engine: clients of the closed loop, each with one request in flight, 1 to 1024");
ABSL_FLAG(double, rate, 0,
          "server, engine: requests per second of the open loop, 0.001 to 100000; 0: closed loop");
ABSL_FLAG(int, max_in_flight, 512,
          "server, engine: requests in flight at most in the open loop, 1 to 2048; what is due "
          "beyond that "
          "waits, and its time counts");
ABSL_FLAG(double, duration_s, 10,
          "server, engine: seconds in which requests are sent, 0.001 to 3600");
ABSL_FLAG(int64_t, requests, 0,
          "server, engine: send so many requests, whatever --duration_s says, 1 to 1000000; 0: by "
          "duration");
ABSL_FLAG(int, prompt_tokens, 64,
          "server, engine: tokens of a prompt or of a text to score, 1 to 65536");
ABSL_FLAG(int, new_tokens, 32, "server, engine, generate: tokens of an answer, 1 to 65536");
ABSL_FLAG(int, items, 1, "server, engine, score: texts of a request, 1 to 1024");
ABSL_FLAG(
    double, ttft_limit_ms, 0,
    "server, engine, generate: milliseconds to the first token within which a request counts for "
    "goodput, 0.001 to 1000000; 0: no limit");
ABSL_FLAG(
    double, token_limit_ms, 0,
    "server, engine, generate: mean milliseconds between tokens within which a request counts for "
    "goodput, 0.001 to 1000000; 0: no limit");
ABSL_FLAG(uint64_t, seed, 1, "server, engine: of the random ids and arrivals, any 64 bits");

namespace dyad::bench {
namespace {

// CheckRange for flags whose 0 stands for none.
template <typename Flag>
absl::Status CheckOptional(std::string_view name, const Flag& flag, Range range) {
  return absl::GetFlag(flag) == 0 ? absl::OkStatus() : CheckRange(name, flag, range);
}

absl::Status CheckFlags() {
  RETURN_IF_ERROR(CheckRange("clients", FLAGS_clients, {1, 1024}));
  RETURN_IF_ERROR(CheckOptional("rate", FLAGS_rate, {1e-3, 1e5}));
  RETURN_IF_ERROR(CheckRange("max_in_flight", FLAGS_max_in_flight, {1, 2048}));
  RETURN_IF_ERROR(CheckRange("duration_s", FLAGS_duration_s, {1e-3, 3600}));
  RETURN_IF_ERROR(CheckOptional("requests", FLAGS_requests, {1, 1e6}));
  RETURN_IF_ERROR(CheckRange("prompt_tokens", FLAGS_prompt_tokens, {1, 65536}));
  RETURN_IF_ERROR(CheckRange("new_tokens", FLAGS_new_tokens, {1, 65536}));
  RETURN_IF_ERROR(CheckRange("items", FLAGS_items, {1, 1024}));
  RETURN_IF_ERROR(CheckOptional("ttft_limit_ms", FLAGS_ttft_limit_ms, {1e-3, 1e6}));
  return CheckOptional("token_limit_ms", FLAGS_token_limit_ms, {1e-3, 1e6});
}

}  // namespace

absl::StatusOr<LoadOptions> LoadFromFlags() {
  RETURN_IF_ERROR(CheckFlags());
  LoadOptions options;
  ASSIGN_OR_RETURN(options.task,
                   ChooseWord<Task>("task", absl::GetFlag(FLAGS_task),
                                    {{"generate", Task::kGenerate}, {"score", Task::kScore}}));
  options.prompt_tokens = absl::GetFlag(FLAGS_prompt_tokens);
  options.new_tokens = absl::GetFlag(FLAGS_new_tokens);
  options.items = absl::GetFlag(FLAGS_items);
  options.arrivals.seed = absl::GetFlag(FLAGS_seed);
  options.arrivals.duration = absl::GetFlag(FLAGS_duration_s);
  if (const int64_t requests = absl::GetFlag(FLAGS_requests); requests > 0) {
    options.arrivals.requests = requests;
  }
  options.in_flight = absl::GetFlag(FLAGS_clients);
  if (const double rate = absl::GetFlag(FLAGS_rate); rate > 0) {
    options.arrivals.rate = rate;
    options.in_flight = absl::GetFlag(FLAGS_max_in_flight);
  }
  if (const double ms = absl::GetFlag(FLAGS_ttft_limit_ms); ms > 0) options.ttft_limit = ms * 1e-3;
  if (const double ms = absl::GetFlag(FLAGS_token_limit_ms); ms > 0) {
    options.token_limit = ms * 1e-3;
  }
  return options;
}

absl::Status CheckFits(const LoadOptions& options, const std::string& model,
                       int64_t context_length) {
  const int64_t new_tokens = options.task == Task::kGenerate ? options.new_tokens : 0;
  if (options.prompt_tokens + new_tokens <= context_length) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--prompt_tokens (", options.prompt_tokens, ") and --new_tokens (", new_tokens,
                   ") are more than the ", context_length, " tokens of model ", model));
}

}  // namespace dyad::bench
