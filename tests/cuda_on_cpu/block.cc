// Fibers of a thread block and what they wait for: tests/cuda_on_cpu/block.h.
//
// Never instrumented by ThreadSanitizer itself, as fibers share this memory on purpose; it is told
// what happens before what.
#include "tests/cuda_on_cpu/block.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>

#include "kernels/float16.h"
#include "tests/cuda_on_cpu/thread_sanitizer.h"

namespace dyad::cuda_on_cpu {
namespace {

namespace tsan = thread_sanitizer;
using kernels::reference::TensorCore;

constexpr size_t kStackBytes = 128 << 10;
constexpr int kWarp = 32;

enum class Collective { kNone, kBarrier, kShuffle, kLoadMatrix, kMultiply };

struct Slot {
  alignas(16) unsigned char in[64], out[64];
};
struct Fiber {
  ucontext_t context;
  void* tsan = nullptr;
  unsigned char* stack = nullptr;
  Extent index;
  bool done = false;
  std::deque<std::vector<Copy>> groups;
  std::vector<Copy> open;
};
struct Warp {
  Slot slots[kWarp];
  int arrived = 0;
  Collective collective = Collective::kNone;
  unsigned generation = 0;
};
struct NumberedBarrier {
  int arrived = 0, threads = 0;
  unsigned generation = 0;
};
struct MemoryBarrier {
  int arrivals = 0, pending = 0;
  int64_t bytes = 0;
  unsigned phase = 0;
};
struct BulkTask {
  Copy copy;
  void* barrier = nullptr;
};
struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  NumberedBarrier barriers[16];
  std::map<void*, MemoryBarrier> memory_barriers;
  size_t first_bulk = 0, bulk = 0;  // of bulk_tasks: those that have not landed
  unsigned char* shared = nullptr;
  Extent index, size;
  int current = 0, alive = 0;
  int64_t progress = 0;
  ucontext_t scheduler;
  void *scheduler_tsan = nullptr, *copier_tsan = nullptr;
  const std::function<void()>* body = nullptr;
};

// Of the one run at a time.
std::mutex one_run;
Block* block = nullptr;
std::mt19937 order_of_threads{1};
TensorCore tensor_core;
// Kept from block to block.
std::vector<std::unique_ptr<unsigned char[]>> stacks;
std::vector<void*> tsan_fibers;
// A ring. Threads allocate nothing for it: each is a fiber of its own to ThreadSanitizer, and would
// race with whoever frees.
std::vector<BulkTask> bulk_tasks(4096);

[[noreturn]] void Fail(const char* why) {
  std::fprintf(stderr, "cuda_on_cpu: %s\n", why);
  std::fflush(stderr);
  std::_Exit(3);
}

Fiber& Current() { return block->fibers[static_cast<size_t>(block->current)]; }
Warp& CurrentWarp() { return block->warps[static_cast<size_t>(block->current / kWarp)]; }

void Yield() {
  Fiber& fiber = Current();
  tsan::SwitchTo(block->scheduler_tsan);
  swapcontext(&fiber.context, &block->scheduler);
}

template <typename Condition>
void WaitUntil(Condition condition) {
  while (!condition()) Yield();
}

// All lanes of a warp meet; the last one computes for all.
void Meet(Collective collective, const void* in, size_t in_bytes, void* out, size_t out_bytes,
          void (*compute)(Slot*)) {
  const int thread = block->current, lane = thread % kWarp;
  Warp& warp = CurrentWarp();
  const int lanes = std::min(kWarp, Threads() - thread / kWarp * kWarp);
  if (warp.arrived == 0) {
    warp.collective = collective;
  } else if (warp.collective != collective) {
    Fail("lanes of a warp are in different collectives");
  }
  std::memcpy(warp.slots[lane].in, in, in_bytes);
  const unsigned generation = warp.generation;
  if (++warp.arrived == lanes) {
    if (compute != nullptr) compute(warp.slots);
    warp.arrived = 0;
    ++warp.generation;
    ++block->progress;
  }
  WaitUntil([&] { return warp.generation != generation; });
  std::memcpy(out, warp.slots[lane].out, out_bytes);
}

MemoryBarrier& Find(void* barrier) {
  const auto it = block->memory_barriers.find(barrier);
  if (it == block->memory_barriers.end()) Fail("a barrier in memory is not initialised");
  return it->second;
}

void FlipIfComplete(MemoryBarrier& barrier) {
  if (barrier.pending != 0 || barrier.bytes != 0) return;
  barrier.pending = barrier.arrivals;
  ++barrier.phase;
  ++block->progress;
}

void Entry() {
  tsan::Acquire(block);
  (*block->body)();
  tsan::Release(block);
  Current().done = true;
  --block->alive;
  ++block->progress;
  Yield();
}

struct MultiplyInput {
  uint32_t a[4], b[2];
  float c[4];
  Operand operand;
};

// Which lane holds what of the operands: PTX ISA, matrix fragments for mma.m16n8k16.
void MultiplyWarp(Slot* slots) {
  float a[16][16], b[8][16];
  MultiplyInput lanes[kWarp];
  for (int l = 0; l < kWarp; ++l) std::memcpy(&lanes[l], slots[l].in, sizeof lanes[l]);
  const bool half = lanes[0].operand == Operand::kFloat16;
  const auto widen = [half](uint32_t word, int i) {
    const auto bits = static_cast<uint16_t>(word >> (i & 1) * 16);
    return half ? kernels::FromFloat16(bits) : kernels::FromBfloat16(bits);
  };
  for (int l = 0; l < kWarp; ++l) {
    const int group = l >> 2, column = (l & 3) * 2;
    for (int i = 0; i < 8; ++i) {
      a[group + (i >> 1 & 1) * 8][column + (i & 1) + (i >> 2) * 8] = widen(lanes[l].a[i >> 1], i);
    }
    for (int i = 0; i < 4; ++i) {
      b[group][column + (i & 1) + (i >> 1) * 8] = widen(lanes[l].b[i >> 1], i);
    }
  }
  const int least = half ? kernels::reference::kFloat16Least : kernels::reference::kBfloat16Least;
  for (int l = 0; l < kWarp; ++l) {
    for (int i = 0; i < 4; ++i) {
      const int row = (l >> 2) + (i >> 1) * 8, column = (l & 3) * 2 + (i & 1);
      const float d =
          kernels::reference::MultiplyTensor(tensor_core, a[row], b[column], lanes[l].c[i], least);
      std::memcpy(slots[l].out + 4 * i, &d, 4);
    }
  }
}

// One bulk copy lands.
void CopyOne() {
  const BulkTask task = bulk_tasks[block->first_bulk++ % bulk_tasks.size()];
  --block->bulk;
  tsan::SwitchTo(block->copier_tsan);
  tsan::Acquire(task.barrier);
  tsan::Written(task.copy.to, task.copy.bytes);
  std::memcpy(task.copy.to, task.copy.from, task.copy.bytes);
  tsan::Release(task.barrier);
  tsan::Release(block);
  tsan::SwitchTo(block->scheduler_tsan);
  MemoryBarrier& barrier = Find(task.barrier);
  barrier.bytes -= task.copy.bytes;
  ++block->progress;
  FlipIfComplete(barrier);
}

void StartFibers(Block& b) {
  const auto threads = static_cast<size_t>(b.size.x) * b.size.y;
  b.fibers.resize(threads);
  b.warps.resize((threads + kWarp - 1) / kWarp);
  b.alive = static_cast<int>(threads);
  while (stacks.size() < threads) {
    stacks.emplace_back(new unsigned char[kStackBytes]);
    tsan_fibers.push_back(tsan::CreateFiber());
  }
  for (size_t t = 0; t < threads; ++t) {
    Fiber& fiber = b.fibers[t];
    fiber.index = {static_cast<unsigned>(t) % b.size.x, static_cast<unsigned>(t) / b.size.x, 0};
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = stacks[t].get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    makecontext(&fiber.context, Entry, 0);
    fiber.tsan = tsan_fibers[t];
  }
}

void RunFibers(Block& b) {
  std::vector<size_t> order(b.fibers.size());
  for (size_t t = 0; t < order.size(); ++t) order[t] = t;
  while (b.alive > 0) {
    const int64_t before = b.progress;
    std::shuffle(order.begin(), order.end(), order_of_threads);
    for (const size_t t : order) {
      if (b.fibers[t].done) continue;
      b.current = static_cast<int>(t);
      tsan::SwitchTo(b.fibers[t].tsan);
      swapcontext(&b.scheduler, &b.fibers[t].context);
    }
    if (b.bulk > 0) {
      CopyOne();
    } else if (b.progress == before) {
      Fail("a barrier or collective that not all threads reach");
    }
  }
}

void RunBlock(Block& b, size_t shared_bytes) {
  block = &b;
  b.scheduler_tsan = tsan::CurrentFiber();
  static void* const copier = tsan::CreateFiber();
  b.copier_tsan = copier;
  void* memory = nullptr;
  if (posix_memalign(&memory, 1024, std::max<size_t>(shared_bytes, 1)) != 0) Fail("no memory");
  b.shared = static_cast<unsigned char*>(memory);
  std::memset(b.shared, 0xff, shared_bytes);
  StartFibers(b);
  tsan::Release(&b);
  RunFibers(b);
  tsan::Acquire(&b);
  for (const Warp& warp : b.warps) {
    if (warp.arrived != 0) Fail("a lane left while others wait");
  }
  std::free(b.shared);
  block = nullptr;
}

}  // namespace

void RunGrid(Extent grid, Extent size, size_t shared_bytes, const std::function<void()>& body) {
  const std::scoped_lock lock(one_run);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        Block b;
        b.index = {x, y, z};
        b.size = size;
        b.body = &body;
        RunBlock(b, shared_bytes);
      }
    }
  }
}

void SetSeed(uint32_t seed) { order_of_threads.seed(seed); }
void SetTensorCore(const TensorCore& core) { tensor_core = core; }

const Extent& ThreadIndex() { return Current().index; }
const Extent& BlockIndex() { return block->index; }
const Extent& BlockSize() { return block->size; }
int Threads() { return static_cast<int>(block->fibers.size()); }
unsigned char* SharedMemory() { return block->shared; }

void Barrier(int id, int threads) {
  NumberedBarrier& barrier = block->barriers[id];
  tsan::Release(&barrier);
  if (barrier.arrived != 0 && barrier.threads != threads) {
    Fail("threads at a barrier disagree about how many they are");
  }
  barrier.threads = threads;
  const unsigned generation = barrier.generation;
  if (++barrier.arrived == threads) {
    barrier.arrived = 0;
    ++barrier.generation;
    ++block->progress;
  }
  WaitUntil([&] { return barrier.generation != generation; });
  tsan::Acquire(&barrier);
}

void WarpBarrier() {
  Warp* warp = &CurrentWarp();
  tsan::Release(warp);
  int nothing = 0;
  Meet(Collective::kBarrier, &nothing, 0, &nothing, 0, nullptr);
  tsan::Acquire(warp);
}

uint32_t Shuffle(uint32_t bits, int from_lane) {
  struct Input {
    uint32_t bits;
    int from_lane;
  };
  const Input input = {bits, from_lane};
  uint32_t result = 0;
  Meet(Collective::kShuffle, &input, sizeof input, &result, sizeof result, [](Slot* slots) {
    for (int l = 0; l < kWarp; ++l) {
      Input wanted;
      std::memcpy(&wanted, slots[l].in, sizeof wanted);
      std::memcpy(slots[l].out, slots[wanted.from_lane].in, sizeof wanted.bits);
    }
  });
  return result;
}

void LoadMatrix4(const uint32_t* row, uint32_t* out) {
  Meet(Collective::kLoadMatrix, row, 16, out, 16, [](Slot* slots) {
    for (int l = 0; l < kWarp; ++l) {
      for (int m = 0; m < 4; ++m) {
        std::memcpy(slots[l].out + 4 * m, slots[m * 8 + l / 4].in + (l % 4) * 4, 4);
      }
    }
  });
}

void Multiply(Operand operand, const uint32_t* a, const uint32_t* b, float* d) {
  MultiplyInput input;
  std::memcpy(input.a, a, sizeof input.a);
  std::memcpy(input.b, b, sizeof input.b);
  std::memcpy(input.c, d, sizeof input.c);
  input.operand = operand;
  Meet(Collective::kMultiply, &input, sizeof input, d, 16, MultiplyWarp);
}

void AddCopy(Copy copy) { Current().open.push_back(copy); }
void CommitCopies() {
  Current().groups.push_back(std::move(Current().open));
  Current().open.clear();
}
std::vector<Copy> TakeCopies(int keep) {
  std::vector<Copy> taken;
  auto& groups = Current().groups;
  while (static_cast<int>(groups.size()) > keep) {
    taken.insert(taken.end(), groups.front().begin(), groups.front().end());
    groups.pop_front();
  }
  return taken;
}

void InitBarrier(void* barrier, int arrivals) {
  block->memory_barriers[barrier] = {arrivals, arrivals, 0, 0};
}
void Arrive(void* address, int64_t bytes) {
  tsan::Release(address);
  MemoryBarrier& barrier = Find(address);
  barrier.bytes += bytes;
  if (barrier.pending == 0) Fail("a barrier in memory has more arrivals than it expects");
  --barrier.pending;
  ++block->progress;
  FlipIfComplete(barrier);
}
void Wait(void* address, unsigned parity) {
  const MemoryBarrier& barrier = Find(address);
  WaitUntil([&] { return (barrier.phase & 1) != parity; });
  tsan::Acquire(address);
}
void BulkCopy(Copy copy, void* barrier) {
  tsan::Release(barrier);
  if (block->bulk == bulk_tasks.size()) Fail("more bulk copies at once than the harness keeps");
  bulk_tasks[(block->first_bulk + block->bulk++) % bulk_tasks.size()] = {copy, barrier};
}

}  // namespace dyad::cuda_on_cpu
