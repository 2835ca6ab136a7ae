// config.json, a byte 0, generation_config.json: read, and the network built that they describe, as
// far as the names and shapes of two checkpoints allow.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kernels/reference/device.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/tensor_source.h"
#include "server/model/config.h"
#include "server/model/load_context.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/paths.h"

namespace dyad {
namespace {

using testing::FuzzFolder;
using testing::Require;

// What LoadModel does before it reads a number.
void Build(const ModelConfig& config, const Checkpoint& checkpoint) {
  static auto& device = *new kernels::reference::ReferenceDevice;
  TensorSource tensors(checkpoint, std::string(config.architecture->tensor_root));
  LoadContext context{.tensors = tensors,
                      .structured = config.structured_linear,
                      .layer_options = config.layer_options,
                      .weight_dtype = WeightDtype::kAsStored,
                      .pass = LoadPass::kCheck,
                      .device = device,
                      .tally = {},
                      .linears = {}};
  const auto network = config.architecture->load(config.network, context);
  if (!network.ok() || !tensors.RefuseTheRest().ok()) return;
  const absl::Status used = config.structured_linear.RefuseUnusedKeys(context.LinearPaths());
  Require(context.tally.parameters > 0, "a network has parameters");
  Require(!used.ok() || (*network)->shape().layers > 0, "a network has layers");
}

std::unique_ptr<Checkpoint> OpenFixture(const char* name) {
  auto checkpoint = Checkpoint::Open((testing::FixturesDir() / name).string());
  Require(checkpoint.ok(), checkpoint.status().ToString());
  return *std::move(checkpoint);
}

}  // namespace
}  // namespace dyad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  static const FuzzFolder folder;
  static const auto& opt = *OpenFixture("opt-dyad-it4").release();
  static const auto& neox = *OpenFixture("neox-dyad-it4").release();
  const auto parts = testing::Parts(testing::AsText(data, size), '\0', 2);
  folder.Write("config.json", parts[0]);
  folder.Put("generation_config.json", parts.size() > 1 ? std::optional(parts[1]) : std::nullopt);
  const absl::StatusOr<ModelConfig> config = ReadConfig(folder.path());
  if (!config.ok()) {
    Require(!config.status().message().empty(), "a refusal says why");
    return 0;
  }
  for (const int32_t id : config->eos_ids) {
    Require(id >= 0 && id < config->network.vocab_size, "an EOS id is in the vocabulary");
  }
  Build(*config, config->architecture->name == "opt" ? opt : neox);
  return 0;
}
