// A model that has been warmed up maps and allocates nothing: its steps take no page fault, and no
// piece of heap of 4 KiB or more. Every allocation of the process is counted, the C library's
// included.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <random>

#include "kernels/devices.h"
#include "server/engine/model.h"
#include "server/model/load_model.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

#ifndef DYAD_SANITIZED

namespace {

constexpr size_t kLarge = 4096;
std::atomic<int64_t> large_allocations = 0;

void* Counted(size_t size, void* memory) {
  if (size >= kLarge) large_allocations.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

}  // namespace

// The program's own definitions come before the C library's.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) { return Counted(size, __libc_malloc(size)); }
void* calloc(size_t count, size_t size) {
  return Counted(count * size, __libc_calloc(count, size));
}
void* realloc(void* memory, size_t size) { return Counted(size, __libc_realloc(memory, size)); }
void* memalign(size_t alignment, size_t size) {
  return Counted(size, __libc_memalign(alignment, size));
}
void* aligned_alloc(size_t alignment, size_t size) {
  return Counted(size, __libc_memalign(alignment, size));
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  *memory = Counted(size, __libc_memalign(alignment, size));
  return *memory == nullptr ? ENOMEM : 0;
}
}

namespace dyad {
namespace {

constexpr int32_t kSequences = 8;
constexpr int32_t kTokens = 192;  // of each
constexpr int32_t kMostDecodes = kSequences - 2;
constexpr int32_t kMostTokens = 120;
constexpr int32_t kMostTop = 2;

int64_t PageFaults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

class SteadyStateTest : public ::testing::Test {
 protected:
  SteadyStateTest() {
    ModelOptions options;
    options.kv_cache_bytes = int64_t{64} << 20;
    options.max_batch_tokens = 256;
    options.max_draws = kSequences;
    auto loaded = LoadModel(testing::DemoModelDir().string(), options,
                            kernels::MakeCpuDevice({.threads = 2}));
    EXPECT_OK(loaded);
    model_ = std::move(loaded->model);
    for (int32_t page = 0; page < kSequences * kTokens / engine::kPageTokens; ++page) {
      pages_.push_back(page);
    }
    // Room for the largest batch, so that the batch itself does not count.
    batch_.ids.reserve(256);
    batch_.chunks.reserve(kSequences);
    batch_.stores.reserve(kSequences);
    batch_.draws.reserve(kSequences);
    batch_.adjustments.reserve(kSequences);
    batch_.score_rows.reserve(2 * 256);
  }

  // Appends `tokens` tokens of a sequence; scores two targets after each, as if another sequence
  // shared them, and stores them for that one; or draws after the last, every third time greedily.
  enum class Want { kScores, kDraw };
  void AddChunk(int32_t sequence, int32_t position, int32_t tokens, Want want, int32_t top_n) {
    constexpr size_t kPagesEach = kTokens / engine::kPageTokens;
    const auto first = static_cast<int32_t>(batch_.ids.size());
    batch_.chunks.push_back(
        {first, tokens, position, std::span(pages_).subspan(sequence * kPagesEach, kPagesEach)});
    for (int32_t i = 0; i < tokens; ++i) {
      batch_.ids.push_back(static_cast<int32_t>(random_() % 1000));
      if (want == Want::kScores) {
        const auto target = static_cast<int32_t>(random_() % 1000);
        batch_.score_rows.push_back({first + i, target, top_n});
        batch_.score_rows.push_back({first + i, target + 1, 0});
      }
    }
    if (want == Want::kScores) {
      batch_.stores.push_back({first, tokens, position, std::span(pages_).first(kPagesEach)});
    }
    if (want == Want::kDraw) {
      batch_.draws.push_back({.row = first + tokens - 1,
                              .temperature = random_() % 3 == 0 ? 0.0f : 0.8f,
                              .top_p = 0.9f,
                              .uniform = random_(),
                              .first_adjustment = static_cast<int32_t>(batch_.adjustments.size()),
                              .adjustments = 1});
      batch_.adjustments.push_back({.id = 5, .subtract = 1});
    }
  }

  void Step() {
    const auto result = model_->Step(batch_);
    ASSERT_TRUE(result.ok());
    batch_.ids.clear();
    batch_.chunks.clear();
    batch_.stores.clear();
    batch_.draws.clear();
    batch_.adjustments.clear();
    batch_.score_rows.clear();
  }

  // Decodes, a prompt's chunk and a scored text together.
  void MixedStep(int32_t decodes, int32_t tokens, int32_t top_n) {
    for (int32_t s = 0; s < decodes; ++s) {
      AddChunk(s, static_cast<int32_t>(random_() % kTokens), 1, Want::kDraw, 0);
    }
    AddChunk(kSequences - 2, 0, tokens, Want::kDraw, 0);
    AddChunk(kSequences - 1, static_cast<int32_t>(random_() % 64), tokens, Want::kScores, top_n);
    Step();
  }
  void RandomStep() {
    MixedStep(static_cast<int32_t>(random_() % (kMostDecodes + 1)),
              static_cast<int32_t>(1 + random_() % kMostTokens),
              static_cast<int32_t>(random_() % (kMostTop + 1)));
  }

  // Every page of every sequence, and the largest step.
  void WarmUp() {
    for (int32_t s = 0; s < kSequences; ++s) {
      AddChunk(s, 0, kTokens, Want::kScores, kMostTop);
      Step();
    }
    for (int i = 0; i < 20; ++i) MixedStep(kMostDecodes, kMostTokens, kMostTop);
    for (int i = 0; i < 60; ++i) RandomStep();
  }

  std::unique_ptr<engine::Model> model_;
  std::vector<int32_t> pages_;
  engine::Batch batch_;
  std::mt19937 random_{1};
};

TEST_F(SteadyStateTest, StepsTakeNoPageFaultAndNoLargeAllocation) {
  WarmUp();
  const int64_t faults = PageFaults();
  const int64_t allocations = large_allocations;
  for (int i = 0; i < 120; ++i) RandomStep();
  EXPECT_EQ(PageFaults() - faults, 0);
  EXPECT_EQ(large_allocations - allocations, 0);
}

// The counters count.
TEST_F(SteadyStateTest, FreshMemoryShows) {
  const int64_t faults = PageFaults();
  const int64_t allocations = large_allocations;
  std::vector<char> fresh(1 << 20, 'x');
  EXPECT_EQ(fresh.back(), 'x');
  EXPECT_GE(PageFaults() - faults, 1);
  EXPECT_GE(large_allocations - allocations, 1);
}

}  // namespace
}  // namespace dyad

#else

TEST(SteadyStateTest, StepsTakeNoPageFaultAndNoLargeAllocation) {
  GTEST_SKIP() << "sanitizers have an allocator of their own";
}

#endif
