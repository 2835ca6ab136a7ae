// dyad-bench model FOLDER: tests/bench/model_bench.h.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/bench/commands.h"
#include "tests/bench/model_bench.h"
#include "tests/bench/roof_report.h"

ABSL_FLAG(std::vector<std::string>, batch,
          std::vector<std::string>({"1", "2", "4", "8", "16", "32", "64"}),
          "model: sequences that decode side by side, each 1 to 256");
ABSL_FLAG(int64_t, context, 128, "model: tokens stored before a decode step, 1 to 65536");
ABSL_FLAG(int64_t, text, 512, "model: tokens of a text to prefill or score, 1 to 65536");
ABSL_FLAG(std::string, kv_dtype, "float32", "model: of keys and values, float32 or bfloat16");
ABSL_DECLARE_FLAG(std::string, weight_dtype);

namespace dyad::bench {
namespace {

constexpr const char* kPartNames[engine::kStepParts] = {"embedding", "norm",         "projections",
                                                        "attention", "feed_forward", "head"};

absl::StatusOr<WeightDtype> ParseDtype() {
  const std::string name = absl::GetFlag(FLAGS_weight_dtype);
  if (name == "float32") return WeightDtype::kFloat32;
  if (name == "bfloat16") return WeightDtype::kBfloat16;
  if (name == "float16") return WeightDtype::kFloat16;
  if (name == "int8") return WeightDtype::kInt8;
  return absl::InvalidArgumentError(absl::StrCat(
      "--weight_dtype is '", name, "'; it must be float32, bfloat16, float16 or int8"));
}

absl::StatusOr<kernels::KvType> ParseKvDtype() {
  const std::string name = absl::GetFlag(FLAGS_kv_dtype);
  if (name == "float32") return kernels::KvType::kFloat32;
  if (name == "bfloat16") return kernels::KvType::kBfloat16;
  return absl::InvalidArgumentError(
      absl::StrCat("--kv_dtype is '", name, "'; it must be float32 or bfloat16"));
}

absl::StatusOr<ModelWork> ParseWork() {
  ModelWork work;
  work.batches.clear();
  for (const std::string& text : absl::GetFlag(FLAGS_batch)) {
    int64_t sequences = 0;
    if (!absl::SimpleAtoi(text, &sequences) || sequences < 1 || sequences > 256) {
      return absl::InvalidArgumentError(
          absl::StrCat("--batch has '", text, "'; each must be in [1, 256]"));
    }
    work.batches.push_back(sequences);
  }
  work.decode_context = absl::GetFlag(FLAGS_context);
  work.text_tokens = absl::GetFlag(FLAGS_text);
  for (const int64_t tokens : {work.decode_context, work.text_tokens}) {
    if (tokens < 1 || tokens > 65536) {
      return absl::InvalidArgumentError(
          absl::StrCat("--context or --text is ", tokens, "; it must be in [1, 65536]"));
    }
  }
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
  for (int part = 0; part < engine::kStepParts; ++part) {
    json["part_seconds"][kPartNames[part]] = result.times.seconds[static_cast<size_t>(part)];
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
    for (const double seconds : result.times.seconds) std::printf(" %9.3f ms", seconds * 1e3);
    std::printf("\n");
  }
}

}  // namespace

absl::Status RunModel(Operands operands) {
  const absl::StatusOr<ModelWork> work = ParseWork();
  if (!work.ok()) return work.status();
  const absl::StatusOr<WeightDtype> dtype = ParseDtype();
  if (!dtype.ok()) return dtype.status();
  const absl::StatusOr<kernels::KvType> kv_dtype = ParseKvDtype();
  if (!kv_dtype.ok()) return kv_dtype.status();
  ModelOptions options;
  options.weight_dtype = *dtype;
  options.kv_dtype = *kv_dtype;
  options.max_batch_tokens = static_cast<int32_t>(std::max<int64_t>(512, work->text_tokens));
  kernels::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const Roof roof = MeasureRoof(pool);
  const auto results = BenchModel(operands[0], options, *work, roof, pool);
  if (!results.ok()) return results.status();
  if (absl::GetFlag(FLAGS_json)) {
    nlohmann::json json = ToJson(roof);
    for (const ModelResult& result : *results) json["results"].push_back(ToJson(result));
    std::cout << json.dump() << "\n";
    return absl::OkStatus();
  }
  PrintRoof(roof);
  PrintTable(*results);
  return absl::OkStatus();
}

}  // namespace dyad::bench
