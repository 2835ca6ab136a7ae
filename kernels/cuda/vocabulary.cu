// kernels/cuda/vocabulary.h.
#include <cmath>
#include <limits>

#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/vocabulary.h"
#include "kernels/draw.h"

namespace dyad::kernels::cuda {
namespace {

constexpr int kTile = static_cast<int>(kVocabularyTile);
constexpr int kThreads = 512;

// The row of a block, and the set of ids that it sums; 0: all. A row of −1: there is nothing to do.
struct Summed {
  int64_t row;
  int32_t set;
};
__device__ __forceinline__ Summed SummedBy(const LogSumArgs& p) {
  if (p.wishes == nullptr) return {static_cast<int64_t>(blockIdx.x), 0};
  const Wish& wish = p.wishes[blockIdx.x];
  return {wish.set == 0 ? -1 : int64_t{wish.row - p.first_row}, wish.set};
}

// Grid:   x = row or wish, y = tile. Block: a thread an id.
// Shared: logits and exponentials of the tile, and its maximum.
__global__ void __launch_bounds__(kTile, 1) SumTiles(const LogSumArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  float* const logits = reinterpret_cast<float*>(DynamicShared());
  float* const exponentials = logits + kTile;
  float* const maximum = exponentials + kTile;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kLanes;
  const int64_t tile = blockIdx.y, first = tile * kTile;
  const Summed summed = SummedBy(p);
  if (summed.row < 0) return;
  const int count = static_cast<int>(p.ids - first < kTile ? p.ids - first : kTile);
  const bool is_summed =
      thread < count && (summed.set == 0 || (p.id_sets[first + thread] & summed.set) != 0);
  logits[thread] = is_summed ? p.logits.data[summed.row * p.logits.stride + first + thread]
                             : -std::numeric_limits<float>::infinity();
  __syncthreads();
  if (thread < 32) {
    float most = logits[lane];
    for (int i = kLanes; i < kTile; i += kLanes) most = Larger(most, logits[i + lane]);
    most = LaneMax(most);
    if (thread == 0) *maximum = most;
  }
  __syncthreads();
  exponentials[thread] = exact::Exp(logits[thread] - *maximum);
  __syncthreads();
  if (thread >= 32) return;
  // What does not fill all lanes comes first.
  const int whole = count / kLanes * kLanes;
  float total = whole + lane < count ? exponentials[whole + lane] : 0.0f;
  for (int i = 0; i < whole; i += kLanes) total = total + exponentials[i + lane];
  total = LaneSum(total);
  if (thread > 0) return;
  const bool has_none = summed.set != 0 && *maximum == -std::numeric_limits<float>::infinity();
  p.tiles[blockIdx.x * ((p.ids + kTile - 1) / kTile) + tile] = {*maximum, has_none ? 0.0f : total};
}

// Grid:   x = row or wish. Block: a thread a tile, kTile tiles at a time.
// Shared: a link for each thread, then its maximum.
__global__ void __launch_bounds__(kTile, 1) JoinTiles(const LogSumArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  LogSumLink* const links = reinterpret_cast<LogSumLink*>(DynamicShared());
  float* const most = reinterpret_cast<float*>(links + kTile);
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t row = blockIdx.x, tiles = (p.ids + kTile - 1) / kTile;
  if (SummedBy(p).row < 0) return;
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  float before = kNone;  // the largest maximum of the tiles so far
  double sum = 0;        // of thread 0
  for (int64_t first = 0; first < tiles; first += kTile) {
    const TileSum tile =
        first + thread < tiles ? p.tiles[row * tiles + first + thread] : TileSum{kNone, 0};
    // The largest of all tiles up to each: windows that double.
    most[thread] = Larger(kNone, tile.maximum);
    for (int distance = 1; distance < kTile; distance *= 2) {
      __syncthreads();
      const float other = thread >= distance ? most[thread - distance] : kNone;
      __syncthreads();
      most[thread] = Larger(other, most[thread]);
    }
    __syncthreads();
    const double so_far = Larger(before, thread > 0 ? most[thread - 1] : kNone);
    links[thread] = LinkOf(so_far, tile);
    before = Larger(before, most[kTile - 1]);
    __syncthreads();
    if (thread == 0) {
      const int count = static_cast<int>(tiles - first < kTile ? tiles - first : kTile);
#pragma unroll 8
      for (int i = 0; i < count; ++i) sum = sum * links[i].scale + links[i].added;
    }
    __syncthreads();
  }
  if (thread == 0) {
    p.log_sums[row] = sum == 0 ? -HUGE_VAL : static_cast<double>(before) + exact::LogDouble(sum);
  }
}

// An id and its logit; id -1: none. The larger logit is ahead, of equal ones the lower id.
struct Candidate {
  float logit;
  int32_t id;
};
__device__ __forceinline__ bool Ahead(Candidate a, Candidate b) {
  if (a.id < 0 || b.id < 0) return b.id < 0 && a.id >= 0;
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// What join(a, b) makes of the values of all threads of the block, two by two. Every thread gets
// it.
template <typename T, typename Join>
__device__ __forceinline__ T OfBlock(T mine, T* room, Join join) {
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // whoever still reads the last result
  room[thread] = mine;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) room[thread] = join(room[thread], room[thread + half]);
    __syncthreads();
  }
  return room[0];
}

// The candidate ahead of all others of the block.
__device__ __forceinline__ Candidate BestOfBlock(Candidate mine, Candidate* room) {
  return OfBlock(mine, room, [](Candidate a, Candidate b) { return Ahead(b, a) ? b : a; });
}

// A logit as a draw sees it. The adjustments of a draw ascend by id.
__device__ __forceinline__ float AdjustedLogit(const AnswerArgs& p, const Wish& wish, float logit,
                                               int32_t id) {
  const Adjustment* const all = p.adjustments + wish.first_adjustment;
  int32_t low = 0, high = wish.adjustments;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (all[middle].id < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const bool found = low < wish.adjustments && all[low].id == id;
  return Tamed(found ? Adjusted(logit, all[low]) : logit);
}

__device__ __forceinline__ void AnswerTop(const AnswerArgs& p, const Wish& wish,
                                          const float* logits, float log_sum, Candidate* room) {
  Candidate last = {0, -1};
  for (int32_t n = 0; n < wish.top_n; ++n) {
    Candidate best = {0, -1};
#pragma unroll 8
    for (int32_t id = static_cast<int32_t>(threadIdx.x); id < p.ids; id += kThreads) {
      const Candidate next = {logits[id], id};
      // A number, behind those taken so far, ahead of this thread's best.
      if (next.logit == next.logit && (n == 0 || Ahead(last, next)) && Ahead(next, best)) {
        best = next;
      }
    }
    last = BestOfBlock(best, room);
    if (last.id < 0) last.logit = -std::numeric_limits<float>::infinity();
    if (threadIdx.x == 0) p.top[wish.first_top + n] = {last.id, last.logit - log_sum};
    if (last.id >= 0) continue;
    for (++n; n < wish.top_n; ++n) {  // there are no more
      if (threadIdx.x == 0) p.top[wish.first_top + n] = {-1, last.logit - log_sum};
    }
  }
}

// Grid: x = wish. Block: 512 threads over ids. Shared: a candidate for each thread.
__global__ void __launch_bounds__(kThreads, 1) AnswerWishes(const AnswerArgs p) {
  LaunchLaterKernel();
  WaitForEarlierKernel();
  Candidate* const room = reinterpret_cast<Candidate*>(DynamicShared());
  const Wish wish = p.wish[blockIdx.x];
  const int64_t row = wish.row - p.first_row;
  const float* const logits = p.logits.data + row * p.logits.stride;
  const auto log_sum = static_cast<float>(p.log_sums[row]);
  AnswerTop(p, wish, logits, log_sum, room);
  Answer answer = {0, 0, log_sum, 0};
  if (wish.set != 0) answer.set_logprob = p.set_log_sums[blockIdx.x] - double{log_sum};
  if (wish.target >= 0) {
    const float target = logits[wish.target];
    int32_t ahead = 0;
#pragma unroll 8
    for (int32_t id = static_cast<int32_t>(threadIdx.x); id < p.ids; id += kThreads) {
      ahead += logits[id] > target || (logits[id] == target && id < wish.target) ? 1 : 0;
    }
    answer.value = 1 + OfBlock(ahead, reinterpret_cast<int32_t*>(room),
                               [](int32_t a, int32_t b) { return a + b; });
    answer.logprob = target - log_sum;
  } else {
    Candidate best = {0, -1};
    constexpr int kBatch = 8;  // loads that are under way together
    for (int32_t first = static_cast<int32_t>(threadIdx.x); first < p.ids;
         first += kBatch * kThreads) {
      float batch[kBatch];
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int32_t id = first + i * kThreads;
        batch[i] = id < p.ids ? logits[id] : 0.0f;
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        const int32_t id = first + i * kThreads;
        if (id >= p.ids) continue;
        const Candidate next = {AdjustedLogit(p, wish, batch[i], id), id};
        if (Ahead(next, best)) best = next;
      }
    }
    answer.value = BestOfBlock(best, room).id;
    answer.logprob = logits[answer.value] - log_sum;
  }
  if (threadIdx.x == 0) p.answers[blockIdx.x] = answer;
}

}  // namespace

void LaunchLogSums(Runtime& runtime, const LogSumArgs& args) {
  const auto rows = static_cast<unsigned>(args.rows);
  const auto tiles = static_cast<unsigned>((args.ids + kTile - 1) / kTile);
  runtime.Launch(
      {.grid = {rows, tiles}, .block = {kTile}, .shared_bytes = (2 * kTile + 1) * sizeof(float)},
      SumTiles, args);
  runtime.Launch({.grid = {rows},
                  .block = {kTile},
                  .shared_bytes = kTile * (sizeof(LogSumLink) + sizeof(float))},
                 JoinTiles, args);
}

void LaunchAnswers(Runtime& runtime, const AnswerArgs& args) {
  runtime.Launch({.grid = {static_cast<unsigned>(args.wishes)},
                  .block = {kThreads},
                  .shared_bytes = kThreads * sizeof(Candidate)},
                 AnswerWishes, args);
}

}  // namespace dyad::kernels::cuda
