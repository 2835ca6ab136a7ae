// gpu_bench layers | tiles | model FOLDER [REPEATS [ARITHMETIC]]: times of the CUDA device, as
// tables. For tests/gpu_check.sh, which puts them beside PyTorch's. One run, medians of batches;
// weights are larger than the card's caches. tiles: every tile of kernels/cuda/exact.h, to choose
// among them. A model on tensor cores has float16 weights.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/layer.h"
#include "kernels/cuda/open.h"
#include "server/model/load_model.h"

namespace dyad {
namespace {

using kernels::Arithmetic;
using kernels::Element;

double Seconds(auto work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(auto work, int repeats = 7) {
  work();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) times.push_back(Seconds(work));
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[static_cast<size_t>(repeats) / 2];
}

std::unique_ptr<kernels::Device> Open(Arithmetic arithmetic) {
  kernels::cuda::OpenedDevices opened =
      kernels::cuda::OpenDevices(1, {.threads = 8, .arithmetic = arithmetic});
  if (opened.fault.empty()) return std::move(opened.devices.front());
  std::fprintf(stderr, "gpu_bench: %s\n", opened.fault.c_str());
  return nullptr;
}

// A dense layer, or DYAD-IT of `blocks` blocks: two terms, one of them read with a stride.
kernels::Plan PlanOf(int64_t in, int64_t out, int64_t blocks, Element type, const void* weights) {
  const Element stored = type == Element::kInt8 ? Element::kFloat32 : type;
  kernels::Plan plan = kernels::DensePlan(in, out, {weights, stored});
  plan.type = type;
  if (blocks == 1) return plan;
  auto& step = std::get<kernels::Contract>(plan.steps.front());
  step.blocks = blocks;
  step.depth = in / blocks;
  step.outputs = out / blocks;
  step.view = {.block = step.outputs};
  kernels::Weights of_term = {.data = weights,
                              .elements = in * out / blocks,
                              .element = stored,
                              .block = step.outputs * step.depth,
                              .output = step.depth};
  step.terms = {{{.block = step.depth}, of_term}, {{.block = 1, .stride = blocks}, of_term}};
  return plan;
}

// What layers are computed in, and with which weights.
struct Numbers {
  Arithmetic arithmetic;
  Element type;
  const char* name;  // of the type
};

int RunLayers(const Numbers& numbers) {
  const auto device = Open(numbers.arithmetic);
  if (device == nullptr) return 1;
  const kernels::Matrix probe = device->Allocate(1, 1);
  const std::vector<float> random(int64_t{4096} * 16384, 0.01f);
  // Values do not matter for the time; denormal numbers run at full speed.
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>(4096, 16384), {768, 3072}}) {
    for (const int64_t blocks : {1, 4, 8}) {
      const int64_t bytes = 2 * in * out / blocks * ElementBytes(numbers.type);
      const int64_t copies = std::max<int64_t>(1, (int64_t{256} << 20) / bytes);
      std::vector<std::unique_ptr<kernels::Layer>> layers;
      for (int64_t i = 0; i < copies; ++i) {
        layers.push_back(device->Pack(PlanOf(in, out, blocks, numbers.type, random.data())));
      }
      for (const int64_t rows : {1, 4, 16, 64, 256, 2048}) {
        const kernels::Matrix x = device->Allocate(rows, in), y = device->Allocate(rows, out);
        const int64_t calls = rows >= 256 ? 8 : 64;
        const double seconds = Median([&] {
          for (int64_t i = 0; i < calls; ++i) {
            device->Apply(x, {{layers[static_cast<size_t>(i % copies)].get(), y}}, {});
          }
          device->Read(probe);
        });
        const double one = seconds / static_cast<double>(calls);
        const auto& layer = *layers.front();
        std::printf("%-9s %-9s %6ld %6ld %4ld %5ld %9.1f %9.2f %9.1f\n",
                    device->info().arithmetic.c_str(), numbers.name, in, out, blocks, rows,
                    one * 1e6, static_cast<double>(layer.weight_bytes()) / one * 1e-12,
                    2e-12 * static_cast<double>(layer.multiply_adds() * rows) / one);
        std::fflush(stdout);
      }
    }
  }
  return 0;
}

int RunLayers() {
  std::printf("%-9s %-9s %6s %6s %4s %5s %9s %9s %9s\n", "numbers", "type", "in", "out", "DYAD",
              "rows", "us", "TB/s", "TFLOP/s");
  int failed = 0;
  for (const Numbers& numbers : {Numbers{Arithmetic::kExact, Element::kFloat32, "float32"},
                                 {Arithmetic::kExact, Element::kBfloat16, "bfloat16"},
                                 {Arithmetic::kAccurate, Element::kBfloat16, "bfloat16"},
                                 {Arithmetic::kAccurate, Element::kInt8, "int8"},
                                 {Arithmetic::kFast, Element::kBfloat16, "bfloat16"}}) {
    failed |= RunLayers(numbers);
  }
  return failed;
}

// Layers of OPT-125m and 6.7b in every tile whose rows are not far more than there are.
int RunTiles() {
  const auto runtime = kernels::cuda::Runtime::Open(0).runtime;
  if (runtime == nullptr) return 1;
  kernels::ThreadPool threads(8);
  kernels::cuda::Room<float> scratch;
  const std::vector<float> random(int64_t{768} * 50272 + int64_t{4096} * 16384, 0.01f);
  struct Case {
    int64_t in, out, blocks;
  };
  for (const auto& [type, name] :
       {std::pair(Element::kFloat32, "float32"), std::pair(Element::kBfloat16, "bfloat16")}) {
    for (const auto& [in, out, blocks] : {Case{4096, 16384, 4},
                                          {4096, 4096, 1},
                                          {768, 3072, 4},
                                          {3072, 768, 4},
                                          {768, 768, 1},
                                          {768, 50272, 1}}) {
      const int64_t bytes = 2 * in * out / std::max<int64_t>(2, blocks) * ElementBytes(type);
      const int64_t copies = std::clamp<int64_t>((int64_t{200} << 20) / bytes, 1, 64);
      std::vector<std::unique_ptr<kernels::cuda::CudaLayer>> layers;
      for (int64_t i = 0; i < copies; ++i) {
        layers.push_back(std::make_unique<kernels::cuda::CudaLayer>(
            PlanOf(in, out, blocks, type, random.data()), *runtime, threads));
      }
      for (const int64_t rows : {1, 2, 4, 8, 16, 64, 256, 2048}) {
        const kernels::cuda::Piece<float> x = kernels::cuda::UploadedPiece<float>(
            *runtime, std::span(random).first(static_cast<size_t>(rows * in)));
        const kernels::cuda::Piece<float> y(*runtime, rows * out);
        std::printf("%-8s %5ld %5ld %ld %4ld:", name, in, out, blocks, rows);
        for (const kernels::cuda::ExactTile tile : kernels::cuda::kExactTiles) {
          if (tile.rows > 4 * rows || (tile.rows < rows && tile.rows < 8)) continue;
          if (rows > 64 && tile.rows < 32) continue;
          const int64_t calls = rows > 64 ? 8 : 64;
          const double seconds = Median(
              [&] {
                for (int64_t i = 0; i < calls; ++i) {
                  layers[static_cast<size_t>(i % copies)]->Run(
                      *runtime, scratch,
                      {.rows = rows, .x = {x.data(), in}, .y = {y.data(), out}, .tile = tile});
                }
                runtime->Wait();
              },
              5);
          std::printf(" %dx%d %.1f", tile.outputs, tile.rows, seconds / calls * 1e6);
        }
        std::printf("\n");
        std::fflush(stdout);
      }
    }
  }
  std::printf("%s\n", runtime->error().c_str());
  return runtime->error().empty() ? 0 : 1;
}

// Steps of a whole model: `rows` sequences at position 128 make a token each; then a prompt.
int RunModel(const std::string& folder, int repeats, Arithmetic arithmetic) {
  auto device = Open(arithmetic);
  if (device == nullptr) return 1;
  ModelOptions options;
  options.kv_cache_bytes = int64_t{4} << 30;
  options.max_batch_tokens = 2048;
  options.max_draws = 256;
  if (arithmetic != Arithmetic::kExact) options.weight_dtype = WeightDtype::kFloat16;
  absl::StatusOr<LoadedModel> loaded = LoadModel(folder, options, std::move(device));
  if (!loaded.ok()) {
    std::fprintf(stderr, "gpu_bench: %s\n", std::string(loaded.status().message()).c_str());
    return 1;
  }
  engine::Model& model = *loaded->model;
  std::printf("%s, weights %s, %s\n", folder.c_str(), loaded->info.weight_dtype.c_str(),
              std::string(NameOf(arithmetic)).c_str());
  const auto run = [&](int32_t sequences, int32_t tokens, int32_t position) {
    engine::Batch batch;
    const int32_t pages = (position + tokens + 15) / 16;
    std::vector<int32_t> all(static_cast<size_t>(sequences * pages));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
    for (int32_t s = 0; s < sequences; ++s) {
      batch.chunks.push_back(
          {s * tokens, tokens, position,
           std::span(all).subspan(static_cast<size_t>(s * pages), static_cast<size_t>(pages))});
      for (int32_t t = 0; t < tokens; ++t) batch.ids.push_back(5 + (s * 7 + t * 3) % 1000);
      batch.draws.push_back({.row = (s + 1) * tokens - 1});
    }
    const absl::StatusOr<engine::StepResult> result = model.Step(batch);
    if (!result.ok()) std::fprintf(stderr, "%s\n", std::string(result.status().message()).c_str());
    return result.ok();
  };
  for (const int32_t sequences : {1, 4, 16, 64, 256}) {
    bool good = true;
    const double seconds = Median([&] { good &= run(sequences, 1, 128); }, 3 * repeats);
    if (!good) return 1;
    std::printf("decode, %3d sequences at position 128: %9.1f us a step, %9.0f tokens/s\n",
                sequences, seconds * 1e6, sequences / seconds);
  }
  for (const int32_t tokens : {128, 512, 2048}) {
    bool good = true;
    const double seconds = Median([&] { good &= run(1, tokens, 0); }, repeats);
    if (!good) return 1;
    std::printf("prompt of %4d tokens: %9.2f ms, %9.0f tokens/s\n", tokens, seconds * 1e3,
                tokens / seconds);
  }
  return 0;
}

}  // namespace
}  // namespace dyad

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "layers") == 0) return dyad::RunLayers();
  if (argc == 2 && std::strcmp(argv[1], "tiles") == 0) return dyad::RunTiles();
  if (argc >= 3 && argc <= 5 && std::strcmp(argv[1], "model") == 0) {
    const int repeats = argc >= 4 ? std::max(1, std::atoi(argv[3])) : 7;
    auto arithmetic = dyad::kernels::Arithmetic::kExact;
    for (const auto other :
         {dyad::kernels::Arithmetic::kAccurate, dyad::kernels::Arithmetic::kFast}) {
      if (argc == 5 && NameOf(other) == argv[4]) arithmetic = other;
    }
    return dyad::RunModel(argv[2], repeats, arithmetic);
  }
  std::fprintf(stderr, "usage: gpu_bench layers | tiles | model FOLDER [REPEATS [ARITHMETIC]]\n");
  return 2;
}
