// dyad-bench model FOLDER: tests/bench/model_bench.h.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "tests/bench/commands.h"
#include "tests/bench/flag_values.h"
#include "tests/bench/model_bench.h"
#include "tests/bench/model_flags.h"
#include "tests/bench/roof_report.h"
#include "tests/bench/sampling_flags.h"

ABSL_FLAG(std::vector<std::string>, batch,
          std::vector<std::string>({"1", "2", "4", "8", "16", "32", "64"}),
          "model: sequences that decode side by side, each 1 to 256");
ABSL_FLAG(int64_t, context, 128, "model: tokens stored before a decode step, 1 to 65536");
ABSL_FLAG(int64_t, text, 512, "model: tokens of a text to prefill or score, 1 to 65536");

namespace dyad::bench {
namespace {

absl::StatusOr<ModelWork> ParseWork() {
  RETURN_IF_ERROR(CheckRange("context", FLAGS_context, {1, 65536}));
  RETURN_IF_ERROR(CheckRange("text", FLAGS_text, {1, 65536}));
  ModelWork work;
  ASSIGN_OR_RETURN(work.batches, ParseCounts("batch", absl::GetFlag(FLAGS_batch), 256));
  work.decode_context = absl::GetFlag(FLAGS_context);
  work.text_tokens = absl::GetFlag(FLAGS_text);
  ASSIGN_OR_RETURN(work.sampling, SamplingFromFlags());
  return work;
}

nlohmann::json ToJson(const ModelResult& result) {
  nlohmann::json json = {{"work", result.work},
                         {"sequences", result.sequences},
                         {"tokens", result.tokens},
                         {"context", result.context},
                         {"seconds", result.seconds},
                         {"tokens_per_second", result.tokens_per_second},
                         {"fraction_of_roof", result.fraction_of_roof}};
  for (size_t part = 0; part < kStepParts; ++part) {
    json["part_seconds"][kPartNames[part]] = result.times[part];
  }
  return json;
}

void PrintTable(const std::vector<ModelResult>& results) {
  std::printf("%-8s %6s %8s %10s %9s %6s  ", "work", "rows", "context", "ms", "tokens/s", "roof");
  for (const char* name : kPartNames) std::printf(" %12s", name);
  std::printf("\n");
  for (const ModelResult& result : results) {
    std::printf("%-8s %6ld %8ld %10.3f %9.0f %5.0f%%  ", result.work.c_str(),
                static_cast<long>(result.tokens), static_cast<long>(result.context),
                result.seconds * 1e3, result.tokens_per_second, result.fraction_of_roof * 100);
    for (const double seconds : result.times) std::printf(" %9.3f ms", seconds * 1e3);
    std::printf("\n");
  }
}

}  // namespace

absl::Status RunModel(Operands operands) {
  ASSIGN_OR_RETURN(const ModelWork work, ParseWork());
  ASSIGN_OR_RETURN(ModelOptions options, ModelFromFlags());
  options.max_batch_tokens = static_cast<int32_t>(std::max<int64_t>(512, work.text_tokens));
  // Addresses only: of the pages, those that steps write become resident.
  options.kv_cache_bytes = int64_t{64} << 30;
  kernels::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const Roof roof = MeasureRoof(pool);
  ASSIGN_OR_RETURN(const std::vector<ModelResult> results,
                   BenchModel(operands[0], options, work, roof, pool));
  if (absl::GetFlag(FLAGS_json)) {
    nlohmann::json json = ToJson(roof);
    for (const ModelResult& result : results) json["results"].push_back(ToJson(result));
    std::cout << json.dump() << "\n";
    return absl::OkStatus();
  }
  PrintRoof(roof);
  PrintTable(results);
  return absl::OkStatus();
}

}  // namespace dyad::bench
