// What the CUDA device says when memory, a copy, a launch or a wait fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/device.h"
#include "kernels/cuda/open.h"
#include "tests/cuda_on_cpu/runtime.h"
#include "tests/kernels/cuda/twin_devices.h"

namespace dyad::kernels::cuda {
namespace {

using ::testing::HasSubstr;

TEST(FailingDeviceTest, SaysWhatItIs) {
  const DeviceInfo info = MakeCuda(2)->info();
  EXPECT_EQ(info.name, "cuda:0 CUDA on the CPU, sm_90");
  EXPECT_EQ(info.arithmetic, "exact");
  EXPECT_EQ(info.threads, 2);
}

TEST(FailingDeviceTest, SaysWhatKeysAndValuesTakeIfThereIsNoMemory) {
  const auto device = MakeCuda();
  cuda_on_cpu::FailAt(cuda_on_cpu::Request::kRefuseMemory, 1);
  EXPECT_THAT(
      device->MapKv({.shape = {.heads = 2, .head_size = 64, .scale = 1},
                     .layers = 2,
                     .pages = 10,
                     .cos = {},
                     .sin = {}}),
      HasSubstr(
          "the KV cache takes 327680 bytes; cuda:0 CUDA on the CPU, sm_90 has 8589934592 free"));
}

// A step that embeds and asks for a draw.
StepOutput RunStep(Device& device) {
  static const std::vector<int32_t> ids = {1};
  static const std::vector<DrawRow> draws = {{.row = 0}};
  static const std::vector<float> values = RandomFloats(40 * 8, 1);
  TableSource source;
  source.rows = 40, source.columns = 8;
  source.data = reinterpret_cast<const std::byte*>(values.data());
  static std::vector<std::unique_ptr<Table>> tables;
  static std::vector<std::unique_ptr<Layer>> heads;
  tables.push_back(device.MakeTable(std::move(source)));
  heads.push_back(device.Pack(DensePlan(8, 40, {values.data(), Element::kFloat32})));
  const Matrix y = device.Allocate(1, 8);
  device.Begin({.ids = ids, .positions = ids, .draws = draws});
  device.Embed(*tables.back(), IndexedBy::kId, 0, Lookup::kCopy, y);
  device.Finish(*heads.back(), y, {});
  StepOutput output = device.End();
  tables.pop_back(), heads.pop_back();
  return output;
}

TEST(FailingDeviceTest, TellsAnErrorAtTheEndOfTheStepAndFromThenOn) {
  using cuda_on_cpu::Request;
  for (const auto& [request, text] : std::vector<std::pair<Request, std::string>>{
           {Request::kLaunch, "launching a kernel"}, {Request::kCopyToHost, "copying from"}}) {
    const auto device = MakeCuda();
    EXPECT_EQ(RunStep(*device).error, "");
    cuda_on_cpu::FailAt(request, 1);
    const StepOutput output = RunStep(*device);
    EXPECT_THAT(std::string(output.error), HasSubstr(text));
    EXPECT_EQ(output.draws.size(), 1u);
    cuda_on_cpu::FailAt(request, 0);
  }
}

TEST(FailingMemoryTest, NoMemoryIsBadAllocAndNoError) {
  const auto runtime = Runtime::Open(0).runtime;
  cuda_on_cpu::FailAt(cuda_on_cpu::Request::kRefuseMemory, 1);
  EXPECT_THROW(Piece<float>(*runtime, 8), std::bad_alloc);
  EXPECT_EQ(runtime->error(), "");
}

TEST(FailingOpenTest, SaysWhatThereIs) {
  EXPECT_EQ(OpenDevices(1, {.ordinal = 7}).fault, "there is no device 7: CUDA has 1");
  EXPECT_TRUE(OpenDevices(1, {.ordinal = 7}).devices.empty());
}

}  // namespace
}  // namespace dyad::kernels::cuda
