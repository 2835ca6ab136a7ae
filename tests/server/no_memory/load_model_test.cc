// Whichever allocation of a load fails, the load says so, and nothing is freed that was not made.
// `operator new` is this program's own, also under sanitizers.
#include "server/model/load_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <new>
#include <string>

#include "kernels/devices.h"
#include "server/last_resort.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"

namespace {

std::atomic<int64_t> allocations = 0;
std::atomic<int64_t> allocation_that_fails = -1;  // counted from the start of the process, from 0

void* Allocate(size_t size, size_t alignment) {
  if (allocations.fetch_add(1) == allocation_that_fails.load()) return nullptr;
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
void* AllocateOrThrow(size_t size, size_t alignment) {
  void* memory = Allocate(size == 0 ? 1 : size, alignment);
  return memory != nullptr ? memory : throw std::bad_alloc();
}
constexpr size_t kAligned = alignof(std::max_align_t);

}  // namespace

void* operator new(size_t size) { return AllocateOrThrow(size, kAligned); }
void* operator new[](size_t size) { return AllocateOrThrow(size, kAligned); }
void* operator new(size_t size, std::align_val_t alignment) {
  return AllocateOrThrow(size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return AllocateOrThrow(size, static_cast<size_t>(alignment));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return Allocate(size, kAligned); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

// A status that no Ending has.
extern "C" const char* __asan_default_options() { return "exitcode=99"; }
extern "C" const char* __ubsan_default_options() { return "exitcode=99"; }

namespace dyad {
namespace {

using ::testing::AnyOf;

// How a process ends whose n-th allocation of a load fails.
enum Ending { kLoaded, kEndsWithALine, kNoMemory, kOtherError };

Ending Load(const std::string& folder) {
  ModelOptions options;
  options.kv_cache_bytes = int64_t{1} << 20;
  options.max_batch_tokens = 16;
  const absl::Status status =
      LoadModel(folder, options, kernels::MakeCpuDevice({.threads = 1})).status();
  if (status.ok()) return kLoaded;
  if (absl::IsResourceExhausted(status)) return kNoMemory;
  std::cerr << status << "\n";
  return kOtherError;
}

// As in `main`: what nobody catches ends the process.
[[noreturn]] void LoadAndEnd(int64_t n, const std::string& folder) noexcept {
  PrepareLastResort();
  allocation_that_fails = allocations + n;
  _exit(Load(folder));
}

// In a process of its own; -1 if a signal ended it.
int EndingWithout(int64_t n, const std::string& folder) {
  std::cout.flush();
  std::cerr.flush();
  const pid_t process = fork();
  if (process == 0) LoadAndEnd(n, folder);
  int status = 0;
  waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// nlohmann/json allocates within destructors, which may not throw: there the process ends by its
// last resort, with a line.
TEST(NoMemoryTest, WhicheverAllocationFailsTheLoadOrTheProcessSaysSo) {
  const int64_t tries = testing::kSanitized ? 150 : 1000;
  for (const char* fixture : {"opt-dyad-it4", "neox-einsum-btt5"}) {
    const std::string folder = testing::FixturesDir() / fixture;
    ASSERT_EQ(Load(folder), kLoaded);  // what is made once a process
    const int64_t before = allocations;
    ASSERT_EQ(Load(folder), kLoaded);
    const int64_t count = allocations - before;
    std::map<int, int64_t> endings;
    int64_t tried = 0;
    for (int64_t n = 0; n < count; n += 1 + count / tries) {
      const int ending = EndingWithout(n, folder);
      EXPECT_THAT(ending, AnyOf(kLoaded, kEndsWithALine, kNoMemory)) << fixture << ", " << n;
      ++endings[ending];
      ++tried;
    }
    std::cout << fixture << ": of " << count << " allocations " << tried
              << " failed in turn: " << endings[kNoMemory] << " errors, " << endings[kEndsWithALine]
              << " last lines, " << endings[kLoaded] << " loaded\n";
    EXPECT_GE(endings[kNoMemory] * 10, tried * 8);
    EXPECT_LE(endings[kLoaded] * 50, tried) << "it went on without what it had asked for";
  }
}

}  // namespace
}  // namespace dyad
