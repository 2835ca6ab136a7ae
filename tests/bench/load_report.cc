// Tables and JSON of a load: tests/bench/load_report.h.
#include "tests/bench/load_report.h"

#include <cmath>
#include <cstdio>
#include <iostream>

#include "absl/flags/flag.h"
#include "tests/bench/commands.h"

namespace dyad::bench {
namespace {

nlohmann::json ToJson(const Percentiles& percentiles) {
  return {{"count", percentiles.count()}, {"mean", percentiles.mean()}, {"p50", percentiles.At(50)},
          {"p90", percentiles.At(90)},    {"p99", percentiles.At(99)},  {"max", percentiles.max()}};
}

// 0: no limit.
double LimitMs(double seconds) { return std::isinf(seconds) ? 0 : seconds * 1e3; }

nlohmann::json ToJson(const LoadOptions& options, const LoadResult& result) {
  nlohmann::json json = {
      {"task", options.task == Task::kScore ? "score" : "generate"},
      {"loop", options.arrivals.rate.has_value() ? "open" : "closed"},
      {"in_flight", options.in_flight},
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
  json["goodput"] = {{"ttft_limit_ms", LimitMs(options.ttft_limit)},
                     {"token_limit_ms", LimitMs(options.token_limit)},
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

absl::Status ReportLoad(const LoadOptions& options, const LoadResult& result,
                        const nlohmann::json& about) {
  if (result.sent == 0) {
    return absl::InvalidArgumentError("no request was due in the time of --duration_s");
  }
  if (absl::GetFlag(FLAGS_json)) {
    nlohmann::json json = ToJson(options, result);
    json.update(about);
    std::cout << json.dump() << "\n";
  } else {
    Print(options, result);
  }
  // Some failures are a result; nothing but failures are none.
  return result.succeeded > 0 ? absl::OkStatus() : result.first_error;
}

}  // namespace dyad::bench
