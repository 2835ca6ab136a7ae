// kernels/cuda/runtime.h on the CPU. What is queued runs at Wait and not before, so that a result
// that was not waited for, or host memory that changed too early, shows.
#include "kernels/cuda/runtime.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>

#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/runtime.h"

namespace dyad::cuda_on_cpu {
namespace {

std::atomic<int> devices{1};
std::atomic<bool> bulk_copies{true};
std::atomic<int> until_failure[5];

bool Fails(Request request) {
  std::atomic<int>& left = until_failure[static_cast<size_t>(request)];
  return left > 0 && --left == 0;
}

}  // namespace

void FailAt(Request request, int number) { until_failure[static_cast<size_t>(request)] = number; }
void SetDevices(int count) { devices = count; }
void SetBulkCopies(bool there) { bulk_copies = there; }

}  // namespace dyad::cuda_on_cpu

namespace dyad::kernels::cuda {

using cuda_on_cpu::Fails;
using cuda_on_cpu::Request;

struct Runtime::State {
  std::string error;
  std::deque<std::function<void()>> queue;

  // Queues, unless there is an error or this is to be one.
  void Queue(Request request, const char* what, std::function<void()> run) {
    if (!error.empty()) return;
    if (Fails(request)) {
      error = what;
      return;
    }
    queue.push_back(std::move(run));
  }
};

Runtime::Runtime(std::unique_ptr<State> state) : state_(std::move(state)) {}
Runtime::~Runtime() = default;

Runtime::Opened Runtime::Open(int ordinal) {
  if (ordinal >= cuda_on_cpu::devices) {
    return {nullptr, "there is no device " + std::to_string(ordinal) + ": CUDA has " +
                         std::to_string(cuda_on_cpu::devices)};
  }
  return {std::unique_ptr<Runtime>(new Runtime(std::make_unique<State>())), {}};
}

DeviceProperties Runtime::properties() const {
  return {.name = "CUDA on the CPU", .major = 9, .minor = 0, .free_bytes = int64_t{8} << 30};
}

int Runtime::multiprocessors() const { return 4; }
bool Runtime::has_bulk_copies() const { return cuda_on_cpu::bulk_copies; }

const std::string& Runtime::error() const { return state_->error; }

// A piece of the heap of exactly this size, so that AddressSanitizer sees its ends; born as NaN.
void* Runtime::Allocate(int64_t bytes) {
  if (bytes <= 0 || !state_->error.empty() || Fails(Request::kRefuseMemory)) return nullptr;
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, static_cast<size_t>(bytes)) != 0) return nullptr;
  std::memset(memory, 0xff, static_cast<size_t>(bytes));
  return memory;
}
void Runtime::Free(void* memory) { std::free(memory); }
void* Runtime::AllocateHost(int64_t bytes) { return Allocate(bytes); }
void Runtime::FreeHost(void* memory) { std::free(memory); }

void Runtime::CopyToDevice(void* to, const void* from, int64_t bytes) {
  if (bytes <= 0) return;
  state_->Queue(Request::kCopyToDevice, "copying to the device: failed to order",
                [=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
}
void Runtime::CopyToHost(void* to, const void* from, int64_t bytes) {
  if (bytes <= 0) return;
  state_->Queue(Request::kCopyToHost, "copying from the device: failed to order",
                [=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
}
void Runtime::SetZero(void* to, int64_t bytes) {
  if (bytes <= 0) return;
  state_->Queue(Request::kCopyToDevice, "clearing memory: failed to order",
                [=] { std::memset(to, 0, static_cast<size_t>(bytes)); });
}

void Runtime::Wait() {
  if (!state_->error.empty()) return;
  if (Fails(Request::kWait)) {
    state_->error = "waiting for the device: failed to order";
    return;
  }
  for (; !state_->queue.empty(); state_->queue.pop_front()) state_->queue.front()();
}

void Runtime::LaunchBody(const LaunchShape& shape, std::function<void()> body) {
  state_->Queue(Request::kLaunch, "launching a kernel: failed to order",
                [shape, body = std::move(body)] {
                  cuda_on_cpu::RunGrid(shape.grid, shape.block, shape.shared_bytes, body);
                });
}

}  // namespace dyad::kernels::cuda
