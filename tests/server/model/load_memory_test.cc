// What loading takes in memory, on models of real sizes whose files are holes.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "nlohmann/json.hpp"
#include "server/model/load_model.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/server/model/loading.h"
#include "tests/server/model/model_runner.h"
#include "tests/server/model/random_network.h"
#include "tests/support/sanitized.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::ScratchFolder;

// Writes an OPT of this config whose weights are zeros that take no disk: a header and a hole.
int64_t WriteHollowOpt(const ScratchFolder& folder, const OptConfig& config, const char* dtype,
                       int64_t element_bytes) {
  testing::FakeCheckpoint shapes;
  testing::NetworkFiller{.checkpoint = shapes, .fill = testing::Fill::kShapes, .blocks = 4}.Opt(
      config);
  nlohmann::json header;
  int64_t end = 0;
  for (const auto& [name, tensor] : shapes.tensors()) {
    const int64_t begin = end;
    end += tensor.elements() * element_bytes;
    header[name] = {{"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // as writers do, so that data are aligned
  folder.Write("model.safetensors", testing::Little(text.size(), 8) + text);
  std::filesystem::resize_file(folder / "model.safetensors", 8 + text.size() + end);
  folder.Write("config.json", nlohmann::json({{"model_type", "sparse_opt"},
                                              {"vocab_size", config.vocab_size},
                                              {"hidden_size", config.hidden_size},
                                              {"ffn_dim", config.ffn_size},
                                              {"num_hidden_layers", config.layers},
                                              {"num_attention_heads", config.heads},
                                              {"max_position_embeddings", config.positions}})
                                  .dump());
  return end;
}

// Since the last reset; none where the kernel does not tell.
int64_t PeakResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

bool ResetPeak() {
  return static_cast<bool>(std::ofstream("/proc/self/clear_refs") << "5" << std::flush);
}

// The embedding is most of this model, so its two copies and the mapped file are what could be too
// much.
TEST(LoadModelTest, PeakMemoryIsAtMostTwiceTheFile) {
  if (testing::kSanitized) GTEST_SKIP() << "the sanitizer's own memory counts too";
  for (const auto& [stored, bytes, dtype] :
       {std::tuple{"F16", 2, WeightDtype::kAsStored}, std::tuple{"BF16", 2, WeightDtype::kFloat16},
        std::tuple{"F32", 4, WeightDtype::kAsStored}, std::tuple{"F32", 4, WeightDtype::kBfloat16},
        std::tuple{"F32", 4, WeightDtype::kInt8}, std::tuple{"F16", 2, WeightDtype::kInt8}}) {
    ScratchFolder folder;
    OptConfig config;
    config.vocab_size = 100'000, config.ffn_size = 2048;
    config.hidden_size = config.embed_size = 512;
    config.layers = 4, config.heads = 8;
    const int64_t file_bytes = WriteHollowOpt(folder, config, stored, bytes);
    ASSERT_GT(file_bytes, 100 << 20);
    if (!ResetPeak()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written";
    const int64_t idle = PeakResidentBytes();
    ModelOptions options = testing::SmallOptions();
    options.weight_dtype = dtype;
    options.kv_cache_bytes = int64_t{4} << 30;
    const auto model = LoadModel(folder.path(), options, kernels::MakeCpuDevice({.threads = 2}));
    ASSERT_OK(model);
    EXPECT_LE(PeakResidentBytes() - idle, 2 * file_bytes + (64 << 20)) << stored;
    RecordProperty(std::string("peak_bytes_") + stored, std::to_string(PeakResidentBytes() - idle));
    std::printf("%s: file %.0f MB, peak %.0f MB, weights %.0f MB\n", stored, file_bytes / 1e6,
                (PeakResidentBytes() - idle) / 1e6, model->info.weight_bytes / 1e6);
  }
}

TEST(LoadModelTest, ModelBytesCountsWhatIsMultipliedOut) {
  ModelOptions options = testing::SmallOptions();
  const std::string folder = testing::FixtureFolder("opt-lowrank");
  const auto device = kernels::MakeCpuDevice({});
  const auto factors = ModelBytes(folder, options, *kernels::MakeCpuDevice({}));
  options.layer_form = kernels::LayerForm::kDense;
  const auto matrices = ModelBytes(folder, options, *kernels::MakeCpuDevice({}));
  const auto info = InspectModel(folder, options, *device);
  ASSERT_OK(factors);
  ASSERT_OK(matrices);
  ASSERT_OK(info);
  int64_t dense = 0;
  for (const LinearInfo& layer : info->layers) {
    if (layer.kind != "dense") dense += 4 * layer.dense_parameters();
  }
  EXPECT_GT(dense, 0);
  EXPECT_EQ(*matrices - *factors, dense);
}

}  // namespace
}  // namespace dyad
