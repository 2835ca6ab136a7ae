// dyad-bench linear: one layer over numbers of tokens, for instance
//   --kind=monarch --blocks=4 --in=768 --out=3072 --tokens=1,8,64 --weight_dtype=bfloat16
#include <cstdio>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "tests/bench/commands.h"
#include "tests/bench/flag_values.h"
#include "tests/bench/linear_bench.h"
#include "tests/bench/model_flags.h"
#include "tests/bench/roof.h"
#include "tests/bench/roof_report.h"

ABSL_FLAG(std::string, kind, "", "linear, make_model: a kind of kernels/structures; must be given");
ABSL_FLAG(std::vector<std::string>, options, {},
          "linear: options of the kind, NAME=VALUE with commas between: variant=ot");
ABSL_FLAG(std::vector<std::string>, tensors, {},
          "linear: other shapes than the kind's usual ones, NAME=SIZES with commas between: "
          "blkdiag1=4x304x192,blkdiag2=4x768x304");
ABSL_FLAG(double, likeness, 0,
          "linear: how much each row is like the one before, in [0, 1); 0: independent rows");
ABSL_FLAG(int64_t, blocks, 4, "linear, make_model: blocks, or the rank of a kind without blocks");
ABSL_FLAG(int64_t, in, 768, "linear: input features");
ABSL_FLAG(int64_t, out, 3072, "linear: output features");
ABSL_FLAG(std::vector<std::string>, tokens,
          std::vector<std::string>({"1", "2", "4", "8", "16", "32", "64", "128", "256", "512"}),
          "linear: rows per call");
ABSL_FLAG(std::string, weight_dtype, "float32",
          "linear, model, engine: float32, bfloat16, float16 or int8");
ABSL_FLAG(std::string, arithmetic, "exact",
          "linear, model, engine: exact, integer24, integer16, integer8 or bfloat16; linear also "
          "times exact beside, of the same weights and of float32");
ABSL_FLAG(bool, compare, true, "linear: also time LibTorch's dense and reference forms");

namespace dyad::bench {
namespace {

using kernels::Element;

// "NAME=VALUE" -> NAME and VALUE.
absl::StatusOr<std::pair<std::string, std::string>> ParsePair(std::string_view flag,
                                                              const std::string& text) {
  const size_t at = text.find('=');
  if (at != std::string::npos && at > 0) {
    return std::pair{text.substr(0, at), text.substr(at + 1)};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", std::string(flag), " has '", text, "'; each must be NAME=VALUE"));
}

absl::StatusOr<decltype(LayerChoice::options)> ParseOptions(const std::vector<std::string>& texts) {
  decltype(LayerChoice::options) options;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(const auto pair, ParsePair("options", text));
    int64_t whole = 0;
    double number = 0;
    kernels::OptionValue value = pair.second;
    if (absl::SimpleAtoi(pair.second, &whole)) {
      value = whole;
    } else if (absl::SimpleAtod(pair.second, &number)) {
      value = number;
    } else if (pair.second == "true" || pair.second == "false") {
      value = pair.second == "true";
    }
    options.emplace_back(pair.first, std::move(value));
  }
  return options;
}

absl::StatusOr<decltype(LayerChoice::tensors)> ParseTensors(const std::vector<std::string>& texts) {
  decltype(LayerChoice::tensors) tensors;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(const auto pair, ParsePair("tensors", text));
    ASSIGN_OR_RETURN(auto shape, ParseCounts("tensors", absl::StrSplit(pair.second, 'x'), 1 << 20));
    tensors.emplace_back(pair.first, std::move(shape));
  }
  return tensors;
}

absl::StatusOr<LayerChoice> ParseLayer() {
  LayerChoice choice;
  const std::string kind = absl::GetFlag(FLAGS_kind);
  choice.structure = kernels::FindStructure(kind);
  if (choice.structure == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("--kind is '", kind, "'; it must be one of: ", kernels::StructureKinds()));
  }
  choice.likeness = absl::GetFlag(FLAGS_likeness);
  RETURN_IF_ERROR(CheckRange("likeness", FLAGS_likeness, {0, 0.999}));
  ASSIGN_OR_RETURN(choice.options, ParseOptions(absl::GetFlag(FLAGS_options)));
  ASSIGN_OR_RETURN(choice.tensors, ParseTensors(absl::GetFlag(FLAGS_tensors)));
  choice.in = absl::GetFlag(FLAGS_in);
  choice.out = absl::GetFlag(FLAGS_out);
  choice.detail = absl::GetFlag(FLAGS_blocks);
  for (const auto& [flag, value] :
       {std::pair{"--in", choice.in}, {"--out", choice.out}, {"--blocks", choice.detail}}) {
    if (value >= 1 && value <= 1 << 20) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " is ", value, "; it must be in [1, 1048576]"));
  }
  ASSIGN_OR_RETURN(choice.type,
                   ChooseWord<Element>("weight_dtype", absl::GetFlag(FLAGS_weight_dtype),
                                       {{"float32", Element::kFloat32},
                                        {"bfloat16", Element::kBfloat16},
                                        {"float16", Element::kFloat16},
                                        {"int8", Element::kInt8}}));
  ASSIGN_OR_RETURN(choice.arithmetic, ArithmeticFromFlags());
  const absl::StatusOr<kernels::Plan> plan = PlanOf(choice);
  if (plan.ok()) return choice;
  return absl::InvalidArgumentError(
      absl::StrCat("--kind=", kind, " --blocks=", choice.detail, ": ", plan.status().message()));
}

nlohmann::json ToJson(const LinearResult& result) {
  nlohmann::json json = {{"tokens", result.tokens},
                         {"seconds", result.seconds},
                         {"flops_per_second", result.flops_per_second},
                         {"bytes_per_second", result.bytes_per_second},
                         {"fraction_of_roof", result.fraction_of_roof},
                         {"streamed_bytes", result.streamed_bytes}};
  if (result.over_dense > 0) json["over_dense"] = result.over_dense;
  if (result.over_torch_dense > 0) json["over_torch_dense"] = result.over_torch_dense;
  if (result.over_torch_reference > 0) json["over_torch_reference"] = result.over_torch_reference;
  if (result.over_exact > 0) json["over_exact"] = result.over_exact;
  if (result.over_float32 > 0) json["over_float32"] = result.over_float32;
  return json;
}

}  // namespace

absl::Status RunLinear(Operands) {
  ASSIGN_OR_RETURN(const LayerChoice choice, ParseLayer());
  ASSIGN_OR_RETURN(const std::vector<int64_t> tokens,
                   ParseCounts("tokens", absl::GetFlag(FLAGS_tokens), 65536));
  kernels::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const Roof roof = MeasureRoof(pool);
  const Compare compare = absl::GetFlag(FLAGS_compare) ? Compare::kWithTorch : Compare::kNo;
  const std::vector<LinearResult> results = BenchLinear(choice, tokens, compare, roof, pool);
  if (absl::GetFlag(FLAGS_json)) {
    nlohmann::json json = ToJson(roof);
    json["layer"] = {{"kind", absl::GetFlag(FLAGS_kind)},
                     {"blocks", choice.detail},
                     {"in", choice.in},
                     {"out", choice.out},
                     {"weight_dtype", absl::GetFlag(FLAGS_weight_dtype)},
                     {"arithmetic", absl::GetFlag(FLAGS_arithmetic)}};
    for (const LinearResult& result : results) json["results"].push_back(ToJson(result));
    std::cout << json.dump() << "\n";
    return absl::OkStatus();
  }
  PrintRoof(roof);
  std::printf("%6s %10s %9s %7s %6s   %s\n", "tokens", "us", "GFLOP/s", "GB/s", "roof",
              "speed-up over dense, LibTorch's dense, its reference form, exact, float32");
  for (const LinearResult& result : results) {
    std::printf("%6ld %10.1f %9.1f %7.2f %5.0f%%", static_cast<long>(result.tokens),
                result.seconds * 1e6, result.flops_per_second * 1e-9,
                result.bytes_per_second * 1e-9, result.fraction_of_roof * 100);
    std::printf("   %6.2f %6.2f %6.2f %6.2f %6.2f\n", result.over_dense, result.over_torch_dense,
                result.over_torch_reference, result.over_exact, result.over_float32);
  }
  return absl::OkStatus();
}

}  // namespace dyad::bench
