// What is wrong with a structured layer is refused before its weights are read, by layer and field.
// Each row damages a copy of a fixture.
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "server/model/load_model.h"
#include "tests/server/model/damaged_copy.h"
#include "tests/server/model/model_runner.h"
#include "tests/server/model/shared_device.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::DamagedCopy;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const std::string kOpt = "model.decoder.layers.0.", kNeox = "gpt_neox.layers.0.";
const std::string kFc1 = kOpt + "fc1.", kQ = kOpt + "self_attn.q_proj.";
const std::string kUp = kNeox + "mlp.dense_h_to_4h.";
const std::string kAllFc1 = "model.decoder.layers.*.fc1";
const std::string kAllUp = "gpt_neox.layers.*.mlp.dense_h_to_4h";

struct Refusal {
  const char* what;
  const char* fixture;
  std::function<void(DamagedCopy& copy)> damage;
  std::vector<std::string> says;
};

// A row that changes one option of structured_linear.
Refusal Option(const char* what, const char* fixture, const std::string& key, const char* option,
               const nlohmann::json& value, std::vector<std::string> says) {
  return {what, fixture, [=](DamagedCopy& copy) { copy.options(key)[option] = value; }, says};
}

// A row that gives one tensor another shape.
Refusal Shape(const char* what, const char* fixture, const std::string& tensor,
              std::vector<int64_t> shape, std::vector<std::string> says) {
  return {what, fixture, [=](DamagedCopy& copy) { copy.Put(tensor, shape); }, says};
}

// What tensors' shapes and config.json show.
std::vector<Refusal> RefusedByShape() {
  const std::string ranks = "truncation_ranks";
  return {
      // --- Keys and kinds
      Option("unknown kind", "opt-blast", kAllFc1, "kind", "blst", {kAllFc1, "kind", "'blst'"}),
      Option("unknown member", "opt-blast", kAllFc1, "rank_of", 3, {"fc1", "rank_of"}),
      {"a key that names no layer",
       "opt-blast",
       [](auto& copy) {
         copy.options("model.decoder.layers.7.fc1") = {{"kind", "blast"}};
       },
       {"model.decoder.layers.7.fc1", "names no linear layer"}},
      {"two keys for one layer",
       "opt-blast",
       [](auto& copy) {
         copy.options("model.decoder.layers.0.fc1") = {{"kind", "blast"}};
       },
       {kOpt + "fc1", "two keys"}},
      {"tensors of two kinds",
       "opt-blast",
       [](auto& copy) {
         copy.Put(kFc1 + "blkdiag1", {4, 17, 18});
       },
       {kOpt + "fc1", "blkdiag1"}},
      {"another kind than the tensors",
       "opt-monarch",
       [](auto& copy) { copy.options(kAllFc1)["kind"] = "blast"; },
       {kOpt + "fc1", "blast", "blkdiag1"}},
      {"a missing tensor",
       "opt-blast",
       [](auto& copy) { copy.Drop(kFc1 + "D"); },
       {kFc1 + "D", "missing", "[5, 3, 19]"}},
      {"a missing bias",
       "opt-blast",
       [](auto& copy) { copy.Drop(kFc1 + "bias"); },
       {kFc1 + "bias", "missing"}},
      {"an extra tensor", "opt-blast", [](auto& copy) { copy.Put(kFc1 + "E", {2}); }, {kFc1 + "E"}},
      {"whole numbers as weights",
       "opt-blast",
       [](auto& copy) { copy.Retype(kFc1 + "B", StoredType::kInt32); },
       {kFc1 + "B", "int32", "expected float32"}},
      {"whole numbers as a bias",
       "opt-blast",
       [](auto& copy) { copy.Retype(kFc1 + "bias", StoredType::kInt32); },
       {kFc1 + "bias", "int32", "expected float32"}},
      {"whole numbers as a gate",
       "neox-bttmoe",
       [](auto& copy) { copy.Retype(kUp + "moe_gate.weight", StoredType::kInt32); },
       {kUp + "moe_gate.weight", "int32"}},
      {"whole numbers as widths",
       "neox-gblr-gauss",
       [](auto& copy) { copy.Retype(kUp + "widths", StoredType::kInt32); },
       {kUp + "widths", "int32"}},
      {"whole numbers as a norm",
       "opt-blast",
       [](auto& copy) { copy.Retype(kOpt + "final_layer_norm.weight", StoredType::kInt32); },
       {kOpt + "final_layer_norm.weight", "int32"}},
      // --- Low-rank
      Shape("ranks that differ", "opt-asvd", kFc1 + "BLinear.weight", {32, 72},
            {kFc1 + "ALinear.weight", "[200, 33]", "[200, 32]"}),
      {"rank 0",
       "opt-asvd",
       [](auto& copy) {
         copy.Put(kFc1 + "BLinear.weight", {0, 72});
         copy.Put(kFc1 + "ALinear.weight", {200, 0});
       },
       {kFc1 + "BLinear.weight", "[0, 72]"}},
      {"another rank than the tensors",
       "opt-asvd",
       [=](auto& copy) { copy.config[ranks][kOpt + "fc1"] = 34; },
       {"truncation_ranks['" + kOpt + "fc1']", "34", "rank 33"}},
      {"a rank that is no number",
       "opt-asvd",
       [=](auto& copy) { copy.config[ranks][kOpt + "fc1"] = "33"; },
       {"truncation_ranks['" + kOpt + "fc1']"}},
      {"a factored layer without its rank",
       "opt-asvd",
       [=](auto& copy) { copy.config[ranks].erase(kOpt + "fc1"); },
       {"truncation_ranks does not name " + kOpt + "fc1"}},
      {"a rank of a dense layer",
       "opt-asvd",
       [=](auto& copy) { copy.config[ranks][kOpt + "fc2"] = 4; },
       {kOpt + "fc2", "low_rank", "weight"}},
      {"a rank of the head",
       "opt-asvd",
       [=](auto& copy) { copy.config[ranks]["lm_head"] = 4; },
       {"truncation_ranks['lm_head']", "names no linear layer"}},
      // --- BLAST
      Shape("b1 that does not divide", "opt-blast", kFc1 + "B", {7, 25, 19},
            {kFc1 + "B", "[7, 25, 19]", "180/b1"}),
      Shape("b2 that does not divide", "opt-blast", kFc1 + "C", {5, 19, 14},
            {kFc1 + "C", "[5, 19, 14]", "72/b2"}),
      Shape("D with its sizes swapped", "opt-blast", kFc1 + "D", {3, 5, 19},
            {kFc1 + "D", "[3, 5, 19]", "[5, 3, 19]"}),
      Shape("ranks of BLAST that differ", "opt-blast", kFc1 + "C", {3, 18, 24},
            {kFc1 + "C", "[3, 18, 24]", "19"}),
      // --- Monarch
      Shape("inputs that are not rounded up", "opt-monarch", kFc1 + "blkdiag1", {4, 17, 18},
            {kFc1 + "blkdiag1", "[4, 17, 18]", "68/blocks rounded up"}),
      Shape("outputs that are not rounded up", "opt-monarch", kFc1 + "blkdiag2", {4, 47, 17},
            {kFc1 + "blkdiag2", "[4, 47, 17]", "48"}),
      Shape("blocks that differ", "opt-monarch", kFc1 + "blkdiag2", {5, 38, 17},
            {kFc1 + "blkdiag2", "[5, 38, 17]", "[4, 48, 17]"}),
      // --- BlockDense
      Shape("blocks that do not divide", "opt-blockdense", kFc1 + "blkdiag", {5, 7, 4},
            {kFc1 + "blkdiag", "[5, 7, 4]", "24/blocks"}),
      Shape("a block too few", "opt-blockdense", kFc1 + "blkdiag", {2, 11, 8},
            {kFc1 + "blkdiag", "[2, 11, 8]", "24/blocks"}),
      Shape("inner widths that differ", "opt-blockdense", kFc1 + "lr", {72, 32},
            {kFc1 + "lr", "[72, 32]", "[72, 33]"}),
      Shape("a tensor that only training has", "opt-blockdense", kFc1 + "guide_linear", {72, 24},
            {kFc1 + "guide_linear"}),
      Option("an option it does not have", "opt-blockdense", kAllFc1, "blocks", 3,
             {"fc1", "blocks"}),
      {"a missing factor",
       "opt-blockdense",
       [](auto& copy) { copy.Drop(kFc1 + "lr"); },
       {kFc1 + "lr", "missing", "[72, 33]"}},
      // --- Einsum
      Option("6 exponents", "opt-einsum-generic", kAllFc1, "expr", "(0.5|0.25|0.25|0.25|0.5|0.25)",
             {"fc1", "expr", "7 exponents"}),
      Option("10 exponents", "opt-einsum-generic", kAllFc1, "expr",
             "(0.5|0.2|0.1|0.2|0.25|0.25|0.5|0.25|0|0)", {"fc1", "expr", "7 exponents"}),
      Option("exponents that add up to .98", "opt-einsum-generic", kAllFc1, "expr",
             "(0.48|0.25|0.25|0.25|0.5|0.25|0.25)", {"fc1", "expr", "add up to 0.98"}),
      Option("sizes of other tensors", "opt-einsum-generic", kAllFc1, "expr",
             "(0.5|0.5|0|0.5|0.5|0|0)", {kFc1 + "matrix_params.0", "expected ["}),
      // round(72^.1) · round(72^.45)² = 2 · 7 · 7 inputs.
      Option("sizes that are too far off", "opt-einsum-btt1", kAllFc1, "expr",
             "(0.1|0.45|0.45|0.5|0|0.5|0)", {"fc1", "expr", "98 inputs", "72", "15 % off"}),
      Shape("cores that do not fit", "opt-einsum-btt1", kFc1 + "matrix_params.1", {15, 9, 15},
            {kFc1 + "matrix_params.1", "[15, 9, 15]"}),
      {"another head",
       "opt-einsum-btt1",
       [](auto& copy) { copy.config["use_head_btt"] = true; },
       {"use_head_btt is true", "false"}},
      {"another attention",
       "opt-einsum-btt1",
       [](auto& copy) { copy.config["axial"] = true; },
       {"axial is true", "false"}},
      // --- BTT-MoE
      Option("no experts", "neox-bttmoe", kAllUp, "num_active_experts", 0,
             {kUp, "num_active_experts", "0", "[1, 6]"}),
      Option("more experts than there are", "neox-bttmoe", kAllUp, "num_active_experts", 7,
             {kUp, "num_active_experts", "7", "[1, 6]"}),
      Shape("a gate of other experts", "neox-bttmoe", kUp + "moe_gate.weight", {5, 72},
            {kUp + "btt_layer.matrix_params.0", "[12, 6, 72]"}),
      // --- Mixtures of whole layers
      Option("no experts of a mixture", "opt-moe", kAllFc1, "num_active_experts", 0,
             {kOpt + "fc1", "num_active_experts", "0", "[1, 5]"}),
      Option("more experts than a mixture has", "opt-moe", kAllFc1, "num_active_experts", 6,
             {kOpt + "fc1", "num_active_experts", "6", "[1, 5]"}),
      Option("sizes of experts", "opt-moe", kAllFc1, "expr", "(0.5|0|0.5|0|0.5|0.5|0)",
             {kOpt + "fc1", "expr", "expected none"}),
      Shape("a gate of more experts", "opt-moe", kFc1 + "moe_gate.weight", {6, 24},
            {kFc1 + "experts.5.matrix_params.0", "missing"}),
      Shape("a gate of fewer experts", "opt-moe", kFc1 + "moe_gate.weight", {4, 24},
            {kFc1 + "experts.4."}),
      {"no gate",
       "opt-moe",
       [](auto& copy) { copy.Drop(kFc1 + "moe_gate.weight"); },
       {kFc1 + "moe_gate.weight", "missing"}},
      {"an expert without its bias",
       "opt-moe",
       [](auto& copy) { copy.Drop(kFc1 + "experts.2.b"); },
       {kFc1 + "experts.2.b", "missing", "[72]"}},
      {"an expert without its scale",
       "opt-moe",
       [](auto& copy) { copy.Drop(kFc1 + "experts.2.matrix_params.3"); },
       {kFc1 + "experts.2.matrix_params.3", "missing"}},
      {"a bias beside those of the experts",
       "opt-moe",
       [](auto& copy) { copy.Put(kFc1 + "b", {72}); },
       {kFc1 + "b"}},
      Shape("an expert of other outputs", "neox-moe", kUp + "experts.1.matrix_params.1", {6, 8, 9},
            {kUp + "experts.1.matrix_params"}),
      {"both kinds of experts",
       "neox-moe",
       [](auto& copy) {
         copy.Put(kUp + "btt_layer.matrix_params.0", {4, 6, 24});
       },
       {kUp + "btt_layer.matrix_params.0"}},
      {"whole numbers in an expert",
       "neox-moe",
       [](auto& copy) { copy.Retype(kUp + "experts.1.matrix_params.1", StoredType::kInt32); },
       {kUp + "experts.1.matrix_params.1", "int32"}},
      // --- GBLR
      Shape("widths of other components", "neox-gblr-gauss", kUp + "widths", {2, 31},
            {kUp + "widths", "[2, 31]", "[2, 32]"}),
      {"a width below 0",
       "neox-gblr-gauss",
       [](auto& copy) { copy.Set(kUp + "widths", 3, -0.25f); },
       {kUp + "widths", "element 3", "-0.25", "[0, 1]"}},
      {"a width above 1",
       "neox-gblr-gauss",
       [](auto& copy) { copy.Set(kUp + "widths", 3, 1.25f); },
       {kUp + "widths", "element 3", "1.25", "[0, 1]"}},
      {"a width that is no number",
       "neox-gblr-gauss",
       [](auto& copy) { copy.Set(kUp + "widths", 3, kNan); },
       {kUp + "widths", "finite"}},
      {"a location that is no number",
       "neox-gblr-gauss",
       [](auto& copy) { copy.Set(kUp + "locations", 3, kNan); },
       {kUp + "locations", "finite"}},
      {"sigma 0",
       "neox-gblr-gauss",
       [](auto& copy) { copy.Set(kUp + "sigma", 0, 0); },
       {kUp + "sigma", "more than 0"}},
      {"no sigma",
       "neox-gblr-gauss",
       [](auto& copy) { copy.Drop(kUp + "sigma"); },
       {kUp + "sigma", "missing"}},
      // --- Dynamic blocks
      Option("keep 0", "opt-blockdynamic", kAllFc1, "keep_ratio", 0,
             {"fc1", "keep_ratio", "(0, 1]"}),
      Option("keep more than all", "opt-blockdynamic", kAllFc1, "keep_ratio", 1.5,
             {"fc1", "keep_ratio", "1.5", "(0, 1]"}),
      Option("blocks that do not divide", "opt-blockdynamic", kAllFc1, "block_size", 15,
             {"fc1", "block_size", "15", "divisor of 48 and 144"}),
      Option("runs that do not divide", "opt-blockdynamic-flat", kAllFc1, "block_size", 10,
             {"fc1", "block_size", "10", "whose square divides 4608"}),
      {"gates of other blocks",
       "opt-blockdynamic",
       [](auto& copy) {
         copy.Put(kFc1 + "gates.0.weight", {26, 48});
         copy.Put(kFc1 + "gates.0.bias", {26});
       },
       {kFc1 + "gates.0.weight", "[26, 48]", "[27, 48]"}},
      Shape("a gate's bias of other blocks", "opt-blockdynamic", kFc1 + "gates.0.bias", {26},
            {kFc1 + "gates.0.bias", "[26]", "[27]"}),
      // --- All
      {"scratch above 1 MiB a token",
       "opt-einsum-btt1",
       [](auto& copy) {
         copy.options(kAllFc1) = {{"kind", "einsum"}};
         copy.Put(kFc1 + "matrix_params.0", {72, 1, 220 * 17});
         copy.Put(kFc1 + "matrix_params.1", {220, 72 * 17, 1});
         copy.Put(kFc1 + "b", {220});
       },
       {kOpt + "fc1", "scratch is 269280", "[0, 262144]"}},
  };
}

void ExpectSays(const absl::Status& status, const Refusal& row) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.what;
  for (const std::string& part : row.says) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part)) << row.what;
  }
}

TEST(RefusalsTest, ShapesAndOptionsAreRefusedBeforeWeightsAreRead) {
  for (const Refusal& row : RefusedByShape()) {
    DamagedCopy copy(row.fixture);
    row.damage(copy);
    ExpectSays(InspectModel(copy.Write(), {}, testing::SharedDevice()).status(), row);
  }
}

// The copy itself must be fine, or every row would be refused.
TEST(RefusalsTest, UndamagedCopiesLoad) {
  for (const char* fixture :
       {"opt-blast", "opt-asvd", "opt-monarch", "opt-einsum-generic", "opt-einsum-btt1",
        "neox-bttmoe", "opt-moe", "neox-moe", "opt-blockdense", "neox-gblr-gauss",
        "opt-blockdynamic", "opt-blockdynamic-flat"}) {
    DamagedCopy copy(fixture);
    EXPECT_OK(LoadModel(copy.Write(), testing::SmallOptions(), kernels::MakeCpuDevice({})).status())
        << fixture;
  }
}

TEST(RefusalsTest, ValuesAreRefused) {
  const std::vector<Refusal> rows = {
      {"a weight",
       "opt-blast",
       [](auto& copy) { copy.Set(kFc1 + "B", 7, kNan); },
       {kFc1 + "B", "element [0, 0, 7]", "finite"}},
      {"a float32 factor",
       "opt-blast",
       [](auto& copy) { copy.Set(kFc1 + "D", 7, std::numeric_limits<float>::infinity()); },
       {kFc1 + "D", "element [0, 0, 7]", "finite"}},
      {"a bias",
       "opt-blast",
       [](auto& copy) { copy.Set(kFc1 + "bias", 7, kNan); },
       {kFc1 + "bias", "element [7]", "finite"}},
      {"a gate",
       "neox-bttmoe",
       [](auto& copy) { copy.Set(kUp + "moe_gate.weight", 7, kNan); },
       {kUp + "moe_gate.weight", "finite"}},
      {"a gamma",
       "neox-bttmoe",
       [](auto& copy) { copy.Set(kUp + "btt_layer.matrix_params.2", 0, kNan); },
       {kUp + "btt_layer.matrix_params.2", "finite"}},
      {"a scale of an expert",
       "opt-moe",
       [](auto& copy) { copy.Set(kFc1 + "experts.3.matrix_params.2", 0, kNan); },
       {kFc1 + "experts.3.matrix_params.2", "finite"}},
      {"a bias of an expert",
       "opt-moe",
       [](auto& copy) { copy.Set(kFc1 + "experts.3.b", 5, kNan); },
       {kFc1 + "experts.3.b", "element [5]", "finite"}},
      {"a gate's bias",
       "opt-blockdynamic",
       [](auto& copy) { copy.Set(kFc1 + "gates.0.bias", 7, kNan); },
       {kFc1 + "gates.0.bias", "finite"}},
      {"biases that differ",
       "neox-bttmoe",
       [](auto& copy) { copy.Put(kUp + "btt_layer.b", {288}); },
       {kUp + "btt_layer.b", "differs from"}}};
  for (const Refusal& row : rows) {
    DamagedCopy copy(row.fixture);
    row.damage(copy);
    const std::string folder = copy.Write();
    ExpectSays(LoadModel(folder, testing::SmallOptions(), kernels::MakeCpuDevice({})).status(),
               row);
  }
}

}  // namespace
}  // namespace dyad
