// Types of keys and values in memory, as a model is loaded with them.
#include <memory>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "server/model/load_model.h"
#include "tests/server/model/golden.h"
#include "tests/server/model/model_runner.h"
#include "tests/support/forwarding_device.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using testing::FixtureFolder;
using ::testing::HasSubstr;
using testing::SmallOptions;

// Scales of int8 take a sixteenth at 64 features a head; the fixture's heads are smaller.
TEST(KvTypeTest, ANarrowCacheHoldsMorePagesInTheSameBytes) {
  ModelOptions options = SmallOptions();
  const auto pages = [&](kernels::KvType type) {
    options.kv_dtype = type;
    const auto model = LoadModel(FixtureFolder("opt-dense"), options, kernels::MakeCpuDevice({}));
    EXPECT_OK(model);
    EXPECT_LE(model->info.kv_cache_bytes, options.kv_cache_bytes);
    return model->model->limits().kv_pages;
  };
  const int32_t half = pages(kernels::KvType::kBfloat16);
  EXPECT_GE(half, 2 * pages(kernels::KvType::kFloat32));
  EXPECT_GE(pages(kernels::KvType::kInt8), half * 3 / 2);
}

// A device without such keys and values.
struct NoInt8Device : kernels::ForwardingDevice {
  NoInt8Device() : ForwardingDevice(kernels::MakeCpuDevice({.threads = 1})) {}
  std::string_view MissesKv(const kernels::AttentionShape&, kernels::KvType type) const override {
    return type == kernels::KvType::kInt8 ? "int8 keys and values" : "";
  }
};

TEST(KvTypeTest, ACacheThatTheDeviceDoesNotHaveIsRefusedByName) {
  ModelOptions options = SmallOptions();
  options.kv_dtype = kernels::KvType::kInt8;
  EXPECT_THAT(LoadModel(FixtureFolder("opt-dense"), options, std::make_unique<NoInt8Device>()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("kv_dtype is int8, and device cpu has no kernel for int8 keys and "
                                 "values; expected float32 or bfloat16")));
}

}  // namespace
}  // namespace dyad
