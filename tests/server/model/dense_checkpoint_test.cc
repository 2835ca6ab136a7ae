// Matrices worked by hand; types; what no matrix can do. tests/end_to_end/convert_test.py serves
// every fixture so converted.
#include "server/model/dense_checkpoint.h"

#include <cstring>
#include <limits>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "kernels/float16.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/safetensors_writer.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/server/model/model_runner.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ScratchFolder;
using testing::StatusIs;

absl::StatusOr<std::unique_ptr<DenseCheckpoint>> Open(const std::string& folder, DenseType type) {
  return DenseCheckpoint::Open(folder, type, kernels::MakeCpuDevice({}));
}

absl::StatusOr<std::string> BytesOf(DenseCheckpoint& checkpoint, const std::string& name) {
  for (const TensorEntry& entry : checkpoint.entries()) {
    if (entry.name != name) continue;
    std::string bytes;
    RETURN_IF_ERROR(checkpoint.Write(entry, [&](std::span<const std::byte> more) {
      bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
      return absl::OkStatus();
    }));
    EXPECT_EQ(std::ssize(bytes), entry.bytes());
    return bytes;
  }
  return absl::NotFoundError(name);
}

// An OPT of width 2 whose fc1 is low-rank: [1, 2] times [10, 20, 40].
class SmallOpt {
 public:
  SmallOpt() {
    for (const char* name :
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"}) {
      Add(Layer(name), ".weight", {2, 2}, 1);
      Add(Layer(name), ".bias", {2}, 2);
    }
    for (const char* name : {"self_attn_layer_norm", "final_layer_norm"}) {
      Add(Layer(name), ".weight", {2}, 1);
      Add(Layer(name), ".bias", {2}, 0);
    }
    values_[Layer("fc1") + ".lr_weight1"] = {{1, 2}, {1, 2}};
    values_[Layer("fc1") + ".lr_weight2"] = {{3, 1}, {10, 20, 40}};
    values_[Layer("fc1") + ".bias"] = {{3}, {5, 6, 7}};
    Add(Layer("fc2"), ".weight", {2, 3}, 4);
    Add(Layer("fc2"), ".bias", {2}, 0.5f);
    Add("model.decoder.embed_tokens", ".weight", {4, 2}, 1);
    Add("model.decoder.embed_positions", ".weight", {10, 2}, 1);
    Add("model.decoder.final_layer_norm", ".weight", {2}, 1);
    Add("model.decoder.final_layer_norm", ".bias", {2}, 0);
    Add("model.decoder", ".version", {1}, 3);  // which the network ignores
  }

  static std::string Layer(const std::string& name) { return "model.decoder.layers.0." + name; }
  std::vector<float>& values(const std::string& name) { return values_.at(name).second; }

  // Every tensor as `type`, but those of `others`, which are float32.
  void Write(const ScratchFolder& folder, StoredType type, const std::string& others = "-") const {
    folder.Write("config.json", R"({"model_type": "opt", "vocab_size": 4, "hidden_size": 2,
        "ffn_dim": 3, "num_hidden_layers": 1, "num_attention_heads": 1, "bos_token_id": 2,
        "eos_token_id": 2, "max_position_embeddings": 8, "word_embed_proj_dim": 2})");
    std::vector<TensorEntry> entries;
    for (const auto& [name, value] : values_) {
      const bool other = name.find(others) != std::string::npos;
      entries.push_back({name, other ? StoredType::kFloat32 : type, value.first});
    }
    std::string text = SafetensorsHeader(entries);
    for (const TensorEntry& entry : entries) {
      for (const float value : values_.at(entry.name).second) {
        if (entry.type == StoredType::kFloat32) {
          text.append(reinterpret_cast<const char*>(&value), 4);
        } else {
          const uint16_t half = kernels::ToFloat16(value);
          text.append(reinterpret_cast<const char*>(&half), 2);
        }
      }
    }
    folder.Write("model.safetensors", text);
  }

 private:
  void Add(const std::string& module, const std::string& leaf, std::vector<int64_t> shape,
           float value) {
    const auto count = static_cast<size_t>(*ElementCount(shape));
    values_[module + leaf] = {std::move(shape), std::vector<float>(count, value)};
  }
  std::map<std::string, std::pair<std::vector<int64_t>, std::vector<float>>> values_;
};

const std::string& Fc1() {
  static const auto& path = *new std::string(SmallOpt::Layer("fc1"));
  return path;
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), values.size() * 4);
  return values;
}
std::vector<float> Halves(const std::string& bytes) {
  std::vector<float> values;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint16_t half = 0;
    std::memcpy(&half, &bytes[i], 2);
    values.push_back(kernels::FromFloat16(half));
  }
  return values;
}

TEST(DenseCheckpointTest, AProductIsOneMatrix) {
  const ScratchFolder folder;
  SmallOpt().Write(folder, StoredType::kFloat16);
  const auto checkpoint = Open(folder.path(), DenseType::kFloat32);
  ASSERT_OK(checkpoint);
  for (const TensorEntry& entry : (*checkpoint)->entries()) {
    EXPECT_EQ(entry.type, StoredType::kFloat32);
    EXPECT_THAT(entry.name, ::testing::Not(HasSubstr("lr_weight")));
    EXPECT_THAT(entry.name, ::testing::Not(HasSubstr("version")));
  }
  const auto weight = BytesOf(**checkpoint, Fc1() + ".weight");
  ASSERT_OK(weight);
  EXPECT_THAT(Floats(*weight), ElementsAre(10, 20, 20, 40, 40, 80));
  EXPECT_THAT(Floats(*BytesOf(**checkpoint, Fc1() + ".bias")), ElementsAre(5, 6, 7));
  EXPECT_THAT(Floats(*BytesOf(**checkpoint, SmallOpt::Layer("fc2.bias"))), ElementsAre(0.5f, 0.5f));
}

TEST(DenseCheckpointTest, TypesStayAsStored) {
  const ScratchFolder folder, mixed;
  SmallOpt().Write(folder, StoredType::kFloat16);
  auto checkpoint = Open(folder.path(), DenseType::kStored);
  ASSERT_OK(checkpoint);
  EXPECT_THAT(Halves(*BytesOf(**checkpoint, Fc1() + ".weight")),
              ElementsAre(10, 20, 20, 40, 40, 80));
  // Factors of different types are multiplied out to float32.
  SmallOpt().Write(mixed, StoredType::kFloat16, "lr_weight1");
  checkpoint = Open(mixed.path(), DenseType::kStored);
  ASSERT_OK(checkpoint);
  EXPECT_THAT(Floats(*BytesOf(**checkpoint, Fc1() + ".weight")),
              ElementsAre(10, 20, 20, 40, 40, 80));
  EXPECT_THAT(Halves(*BytesOf(**checkpoint, SmallOpt::Layer("fc2.bias"))), ElementsAre(0.5f, 0.5f));
}

TEST(DenseCheckpointTest, WhatNoTypeHoldsIsRefused) {
  const ScratchFolder folder;
  SmallOpt opt;
  opt.values(Fc1() + ".lr_weight2")[1] = 60000;
  opt.Write(folder, StoredType::kFloat16);
  auto checkpoint = Open(folder.path(), DenseType::kStored);
  ASSERT_OK(checkpoint);
  EXPECT_THAT(BytesOf(**checkpoint, Fc1() + ".weight"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("fc1.weight: element 3 of the product is 120000"),
                             HasSubstr("overflows float16"))));
  checkpoint = Open(folder.path(), DenseType::kFloat32);
  EXPECT_THAT(Floats(*BytesOf(**checkpoint, Fc1() + ".weight")),
              ElementsAre(10, 20, 60000, 120000, 40, 80));
  opt.values(Fc1() + ".lr_weight2")[1] = std::numeric_limits<float>::quiet_NaN();
  opt.Write(folder, StoredType::kFloat32);
  checkpoint = Open(folder.path(), DenseType::kFloat32);
  ASSERT_OK(checkpoint);
  EXPECT_THAT(BytesOf(**checkpoint, Fc1() + ".weight"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("finite")));
}

TEST(DenseCheckpointTest, LayersWhoseRowsChooseAreRefusedByName) {
  for (const char* name : {"opt-blockdynamic", "neox-bttmoe"}) {
    EXPECT_THAT(Open(testing::FixtureFolder(name), DenseType::kFloat32).status(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("layers.0."), HasSubstr("rows choose what they run"))))
        << name;
  }
}

TEST(DenseCheckpointTest, TheFirstErrorOfTheTakerEndsIt) {
  const ScratchFolder folder;
  SmallOpt().Write(folder, StoredType::kFloat32);
  const auto checkpoint = Open(folder.path(), DenseType::kFloat32);
  ASSERT_OK(checkpoint);
  for (const TensorEntry& entry : (*checkpoint)->entries()) {
    EXPECT_THAT((*checkpoint)->Write(entry, [](auto) { return absl::DataLossError("gone"); }),
                StatusIs(absl::StatusCode::kDataLoss, "gone"));
  }
}

}  // namespace
}  // namespace dyad
