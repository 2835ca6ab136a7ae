// dyad-bench attention: one layer's attention alone, for instance
//   --heads=12 --head_size=64 --sequences=1 --tokens=512 --context=0
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/paged_attention.h"
#include "kernels/step_arrays.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "tests/bench/commands.h"
#include "tests/bench/flag_values.h"
#include "tests/bench/model_flags.h"
#include "tests/bench/roof.h"
#include "tests/bench/roof_report.h"
#include "tests/bench/timing.h"

ABSL_FLAG(int64_t, heads, 12, "attention: heads, 1 to 256");
ABSL_FLAG(int64_t, head_size, 64, "attention: features of a head, 1 to 1024");
ABSL_FLAG(int64_t, sequences, 1, "attention: sequences side by side, 1 to 256");
ABSL_FLAG(std::vector<std::string>, chunk, std::vector<std::string>({"512"}),
          "attention: tokens that each sequence brings, each 1 to 65536; 1 is a decode step");
ABSL_FLAG(int64_t, stored, 0, "attention: tokens stored before them, 0 to 65536");

namespace dyad::bench {
namespace {

using kernels::kPageTokens;

struct AttentionChoice {
  kernels::AttentionShape shape;
  kernels::KvType type = kernels::KvType::kFloat32;
  int64_t sequences = 1;
  int64_t stored = 0;
};

struct AttentionResult {
  int64_t tokens = 0;           // of a sequence
  double seconds = 0;           // per call, at best
  double flops_per_second = 0;  // 4 · head_size for each query, head and key that it sees
  double fraction_of_roof = 0;
};

AttentionResult Measure(const AttentionChoice& choice, int64_t tokens, const Roof& roof,
                        kernels::Workspace& workspace) {
  const kernels::AttentionShape& shape = choice.shape;
  const int64_t width = shape.heads * shape.head_size, rows = choice.sequences * tokens;
  const int64_t keys = choice.stored + tokens;
  const int64_t pages_each = (keys + kPageTokens - 1) / kPageTokens;
  std::vector<float> qkv(static_cast<size_t>(rows * 3 * width));
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (float& value : qkv) value = normal(generator);
  const int64_t page_bytes = KvPageBytes(shape, choice.type);
  const int64_t kv_bytes = choice.sequences * pages_each * page_bytes;
  const kernels::AlignedBuffer kv(kv_bytes);
  std::fill_n(kv.as<std::byte>(), kv_bytes, std::byte{0});

  kernels::StepArrays step;
  std::vector<int32_t> pages(static_cast<size_t>(pages_each));
  for (int64_t i = 0; i < choice.sequences; ++i) {
    std::iota(pages.begin(), pages.end(), static_cast<int32_t>(i * pages_each));
    step.AddChunk({static_cast<int32_t>(i * tokens), static_cast<int32_t>(tokens),
                   static_cast<int32_t>(choice.stored), pages});
  }
  std::vector<float> out(static_cast<size_t>(rows * width));
  const kernels::QkvRows in = {{qkv.data(), 3 * width},
                               {qkv.data() + width, 3 * width},
                               {qkv.data() + 2 * width, 3 * width},
                               shape.head_size};
  AttentionResult result = {.tokens = tokens};
  result.seconds = BestSeconds([&](int64_t) {
    PagedAttention(shape, {}, step.view(), in, {kv.as<std::byte>(), choice.type},
                   {out.data(), width}, workspace);
  });
  const double seen = static_cast<double>(tokens) * static_cast<double>(choice.stored) +
                      static_cast<double>(tokens * (tokens + 1)) / 2;
  const double flops =
      4 * seen * static_cast<double>(choice.sequences) * static_cast<double>(width);
  result.flops_per_second = flops / result.seconds;
  result.fraction_of_roof = roof.Seconds(static_cast<double>(kv_bytes), flops) / result.seconds;
  return result;
}

absl::StatusOr<AttentionChoice> ParseChoice() {
  RETURN_IF_ERROR(CheckRange("heads", FLAGS_heads, {1, 256}));
  RETURN_IF_ERROR(CheckRange("head_size", FLAGS_head_size, {1, 1024}));
  RETURN_IF_ERROR(CheckRange("sequences", FLAGS_sequences, {1, 256}));
  RETURN_IF_ERROR(CheckRange("stored", FLAGS_stored, {0, 65536}));
  AttentionChoice choice;
  choice.shape.heads = absl::GetFlag(FLAGS_heads);
  choice.shape.head_size = absl::GetFlag(FLAGS_head_size);
  choice.shape.scale = 1 / std::sqrt(static_cast<float>(choice.shape.head_size));
  choice.sequences = absl::GetFlag(FLAGS_sequences);
  choice.stored = absl::GetFlag(FLAGS_stored);
  ASSIGN_OR_RETURN(const ModelOptions options, ModelFromFlags());
  choice.type = options.kv_dtype;
  return choice;
}

nlohmann::json ToJson(const AttentionResult& result) {
  return {{"tokens", result.tokens},
          {"seconds", result.seconds},
          {"flops_per_second", result.flops_per_second},
          {"fraction_of_roof", result.fraction_of_roof}};
}

}  // namespace

absl::Status RunAttention(Operands) {
  ASSIGN_OR_RETURN(const AttentionChoice choice, ParseChoice());
  ASSIGN_OR_RETURN(const std::vector<int64_t> chunks,
                   ParseCounts("chunk", absl::GetFlag(FLAGS_chunk), 65536));
  kernels::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  kernels::Workspace workspace(pool);
  const Roof roof = MeasureRoof(pool);
  nlohmann::json json = ToJson(roof);
  if (!absl::GetFlag(FLAGS_json)) {
    PrintRoof(roof);
    std::printf("%6s %10s %9s %6s\n", "tokens", "us", "GFLOP/s", "roof");
  }
  for (const int64_t tokens : chunks) {
    const AttentionResult result = Measure(choice, tokens, roof, workspace);
    json["results"].push_back(ToJson(result));
    if (absl::GetFlag(FLAGS_json)) continue;
    std::printf("%6ld %10.1f %9.1f %5.0f%%\n", static_cast<long>(tokens), result.seconds * 1e6,
                result.flops_per_second * 1e-9, result.fraction_of_roof * 100);
  }
  if (absl::GetFlag(FLAGS_json)) std::cout << json.dump() << "\n";
  return absl::OkStatus();
}

}  // namespace dyad::bench
