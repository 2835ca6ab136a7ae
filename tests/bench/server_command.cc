// dyad-bench server ADDR: load on a running server, closed loop or Poisson arrivals.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "tests/bench/commands.h"
#include "tests/bench/flag_values.h"
#include "tests/bench/server_bench.h"

ABSL_FLAG(std::string, task, "generate", "server: generate or score");
ABSL_FLAG(std::string, served_model, "", "server: the model's name; empty: the only one");
ABSL_FLAG(int, clients, 16,
          "server: clients of the closed loop, each with one request in flight, 1 to 1024");
ABSL_FLAG(double, rate, 0,
          "server: requests per second of the open loop, 0.001 to 100000; 0: closed loop");
ABSL_FLAG(int, max_in_flight, 512,
          "server: requests in flight at most in the open loop, 1 to 2048; what is due beyond that "
          "waits, and its time counts");
ABSL_FLAG(int, connections, 4, "server: connections that the requests share, 1 to 256");
ABSL_FLAG(double, duration_s, 10, "server: seconds in which requests are sent, 0.001 to 3600");
ABSL_FLAG(
    int64_t, requests, 0,
    "server: send so many requests, whatever --duration_s says, 1 to 1000000; 0: by duration");
ABSL_FLAG(double, timeout_s, 60, "server: seconds that a request may take, 0.001 to 3600");
ABSL_FLAG(int, prompt_tokens, 64, "server: tokens of a prompt or of a text to score, 1 to 65536");
ABSL_FLAG(int, new_tokens, 32, "server, generate: tokens of an answer, 1 to 65536");
ABSL_FLAG(int, items, 1, "server, score: texts of a request, 1 to 1024");
ABSL_FLAG(double, ttft_limit_ms, 0,
          "server, generate: milliseconds to the first token within which a request counts for "
          "goodput, 0.001 to 1000000; 0: no limit");
ABSL_FLAG(double, token_limit_ms, 0,
          "server, generate: mean milliseconds between tokens within which a request counts for "
          "goodput, 0.001 to 1000000; 0: no limit");
ABSL_FLAG(uint64_t, seed, 1, "server: of the random ids and arrivals, any 64 bits");

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
  RETURN_IF_ERROR(CheckRange("connections", FLAGS_connections, {1, 256}));
  RETURN_IF_ERROR(CheckRange("duration_s", FLAGS_duration_s, {1e-3, 3600}));
  RETURN_IF_ERROR(CheckOptional("requests", FLAGS_requests, {1, 1e6}));
  RETURN_IF_ERROR(CheckRange("timeout_s", FLAGS_timeout_s, {1e-3, 3600}));
  RETURN_IF_ERROR(CheckRange("prompt_tokens", FLAGS_prompt_tokens, {1, 65536}));
  RETURN_IF_ERROR(CheckRange("new_tokens", FLAGS_new_tokens, {1, 65536}));
  RETURN_IF_ERROR(CheckRange("items", FLAGS_items, {1, 1024}));
  RETURN_IF_ERROR(CheckOptional("ttft_limit_ms", FLAGS_ttft_limit_ms, {1e-3, 1e6}));
  return CheckOptional("token_limit_ms", FLAGS_token_limit_ms, {1e-3, 1e6});
}

LoadOptions OptionsOf(std::string address, Task task, const v1::Model& model) {
  LoadOptions options;
  options.address = std::move(address);
  options.model = model.name();
  options.task = task;
  options.vocab_size = model.vocab_size();
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
  options.connections = std::min(absl::GetFlag(FLAGS_connections), options.in_flight);
  options.timeout = absl::Seconds(absl::GetFlag(FLAGS_timeout_s));
  if (const double ms = absl::GetFlag(FLAGS_ttft_limit_ms); ms > 0) options.ttft_limit = ms * 1e-3;
  if (const double ms = absl::GetFlag(FLAGS_token_limit_ms); ms > 0) {
    options.token_limit = ms * 1e-3;
  }
  return options;
}

absl::Status CheckFits(const LoadOptions& options, const v1::Model& model) {
  const int64_t new_tokens = options.task == Task::kGenerate ? options.new_tokens : 0;
  if (options.prompt_tokens + new_tokens <= model.context_length()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--prompt_tokens (", options.prompt_tokens, ") and --new_tokens (", new_tokens,
      ") are more than the ", model.context_length(), " tokens of model ", model.name()));
}

nlohmann::json ToJson(const Percentiles& percentiles) {
  return {{"count", percentiles.count()}, {"mean", percentiles.mean()}, {"p50", percentiles.At(50)},
          {"p90", percentiles.At(90)},    {"p99", percentiles.At(99)},  {"max", percentiles.max()}};
}

nlohmann::json ToJson(const LoadOptions& options, const LoadResult& result,
                      const v1::Model& model) {
  nlohmann::json json = {
      {"task", absl::GetFlag(FLAGS_task)},
      {"model", model.name()},
      {"model_digest", model.digest()},
      {"weight_dtype", model.weight_dtype()},
      {"loop", options.arrivals.rate.has_value() ? "open" : "closed"},
      {"in_flight", options.in_flight},
      {"connections", options.connections},
      {"seed", options.arrivals.seed},
      {"prompt_tokens", options.prompt_tokens},
      {"seconds", result.seconds},
      {"requests",
       {{"sent", result.sent},
        {"succeeded", result.succeeded},
        {"late", result.late},
        {"errors", result.errors}}},
      {"requests_per_second", static_cast<double>(result.succeeded) / result.seconds},
      {"tokens_in_per_second", static_cast<double>(result.tokens_in) / result.seconds},
      {"cached_tokens", result.cached_tokens},
      {"request_seconds", ToJson(result.request)}};
  if (options.arrivals.rate.has_value()) json["rate"] = *options.arrivals.rate;
  if (options.task == Task::kScore) {
    json["items"] = options.items;
    json["scored_tokens"] = result.scored_tokens;
    json["scored_tokens_per_second"] = static_cast<double>(result.scored_tokens) / result.seconds;
    return json;
  }
  json["new_tokens"] = options.new_tokens;
  json["tokens_out_per_second"] = static_cast<double>(result.tokens_out) / result.seconds;
  json["ttft_seconds"] = ToJson(result.ttft);
  json["token_seconds"] = ToJson(result.token);
  json["goodput"] = {{"ttft_limit_ms", absl::GetFlag(FLAGS_ttft_limit_ms)},
                     {"token_limit_ms", absl::GetFlag(FLAGS_token_limit_ms)},
                     {"requests", result.good},
                     {"requests_per_second", static_cast<double>(result.good) / result.seconds}};
  return json;
}

void PrintTimes(const char* name, const Percentiles& times) {
  if (times.count() == 0) return;
  std::printf("%-22s %10.2f %10.2f %10.2f %10.2f %10.2f\n", name, times.mean() * 1e3,
              times.At(50) * 1e3, times.At(90) * 1e3, times.At(99) * 1e3, times.max() * 1e3);
}

void Print(const LoadOptions& options, const LoadResult& result) {
  const double per_second = 1 / result.seconds;
  std::printf("%ld requests in %.2f s: %ld succeeded, %.2f a second; %ld sent late\n",
              static_cast<long>(result.sent), result.seconds, static_cast<long>(result.succeeded),
              static_cast<double>(result.succeeded) * per_second, static_cast<long>(result.late));
  for (const auto& [code, count] : result.errors) {
    std::printf("%ld failed with %s\n", static_cast<long>(count), code.c_str());
  }
  std::printf("tokens a second: %.1f in", static_cast<double>(result.tokens_in) * per_second);
  if (options.task == Task::kScore) {
    std::printf(", %.1f scored\n", static_cast<double>(result.scored_tokens) * per_second);
  } else {
    std::printf(", %.1f out; goodput %.2f requests a second\n",
                static_cast<double>(result.tokens_out) * per_second,
                static_cast<double>(result.good) * per_second);
  }
  std::printf("%-22s %10s %10s %10s %10s %10s\n", "milliseconds", "mean", "50 %", "90 %", "99 %",
              "most");
  PrintTimes("to the first token", result.ttft);
  PrintTimes("between tokens", result.token);
  PrintTimes("whole request", result.request);
}

}  // namespace

absl::Status RunServer(Operands operands) {
  ASSIGN_OR_RETURN(const Task task,
                   ChooseWord<Task>("task", absl::GetFlag(FLAGS_task),
                                    {{"generate", Task::kGenerate}, {"score", Task::kScore}}));
  RETURN_IF_ERROR(CheckFlags());
  const std::string address = operands[0];
  ASSIGN_OR_RETURN(const v1::Model model, FindModel(address, absl::GetFlag(FLAGS_served_model)));
  const LoadOptions options = OptionsOf(address, task, model);
  RETURN_IF_ERROR(CheckFits(options, model));
  const LoadResult result = RunLoad(options);
  if (result.sent == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--duration_s is ", absl::GetFlag(FLAGS_duration_s), "; no request was due in that time"));
  }
  if (absl::GetFlag(FLAGS_json)) {
    std::cout << ToJson(options, result, model).dump() << "\n";
  } else {
    Print(options, result);
  }
  // Some failures are a result; nothing but failures are none.
  return result.succeeded > 0 ? absl::OkStatus() : result.first_error;
}

}  // namespace dyad::bench
