// The CUDA runtime: kernels/cuda/runtime.h.
#include <cuda_runtime.h>

#include <set>
#include <utility>

#include "kernels/cuda/launches.h"
#include "kernels/cuda/runtime.h"

namespace dyad::kernels::cuda {
namespace {

constexpr int64_t kWorthRecording = 8;  // kernels in a row
constexpr size_t kMostRecordings = 64;  // a few hundred KiB of memory each

struct EndGraph {
  void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
};
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, EndGraph>;

}  // namespace

struct Runtime::State {
  int ordinal = 0, multiprocessors = 0;
  cudaStream_t stream = nullptr;
  std::string error;
  std::set<const void*> with_much_shared;  // kernels that were told so
  Launches launches;                       // not yet on the stream
  Replays<Graph> recordings{kMostRecordings};
  bool records = true;
  // Compute capability 9.0: kernels may begin before the one before has ended.
  bool overlaps = false;

  ~State() {
    if (stream != nullptr) cudaStreamDestroy(stream);
  }

  // Whether what was asked succeeded; else it is the error, unless one is there.
  bool Check(cudaError_t result, const char* what) {
    if (result == cudaSuccess) return true;
    if (error.empty()) {
      error = std::string(what) + ": " + cudaGetErrorName(result) + " (" +
              cudaGetErrorString(result) + ")";
    }
    return false;
  }
  // Memory that was asked for: null where there is none, which is no error.
  void* Taken(cudaError_t result, void* memory, const char* what) {
    if (result == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // so that later calls do not tell it again
      return nullptr;
    }
    return Check(result, what) ? memory : nullptr;
  }
  bool Bind() { return error.empty() && Check(cudaSetDevice(ordinal), "choosing the device"); }

  // The first error.
  cudaError_t LaunchAll() {
    cudaError_t result = cudaSuccess;
    launches.ForEach([&](const void* kernel, const LaunchShape& shape, void** arguments) {
      cudaLaunchAttribute overlap = {};
      overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
      overlap.val.programmaticStreamSerializationAllowed = 1;
      cudaLaunchConfig_t config = {};
      config.gridDim = dim3(shape.grid.x, shape.grid.y, shape.grid.z);
      config.blockDim = dim3(shape.block.x, shape.block.y, shape.block.z);
      config.dynamicSmemBytes = shape.shared_bytes;
      config.stream = stream;
      config.attrs = &overlap;
      config.numAttrs = overlaps ? 1 : 0;
      const cudaError_t one = cudaLaunchKernelExC(&config, kernel, arguments);
      if (result == cudaSuccess) result = one;
    });
    return result;
  }

  // The list as a graph; null where CUDA refuses, which is no error: there are plain launches.
  Graph Record() {
    cudaGraph_t recorded = nullptr;
    cudaGraphExec_t graph = nullptr;
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess) {
      const bool launched = LaunchAll() == cudaSuccess;
      const bool ended = cudaStreamEndCapture(stream, &recorded) == cudaSuccess;
      if (launched && ended && cudaGraphInstantiate(&graph, recorded, 0) != cudaSuccess) {
        graph = nullptr;
      }
      if (recorded != nullptr) cudaGraphDestroy(recorded);
    }
    if (graph == nullptr) {
      cudaGetLastError();
      records = false;
    }
    return Graph(graph);
  }

  // Puts the queued kernels on the stream, by a recording if there is one.
  void Flush() {
    if (launches.count() == 0) return;
    Graph* recording = nullptr;
    if (records && launches.count() >= kWorthRecording) {
      recording = recordings.Find(launches.bytes());
      if (recording == nullptr && recordings.CameBefore(launches.bytes())) {
        Graph made = Record();
        if (made != nullptr) recording = recordings.Keep(launches.bytes(), std::move(made));
      }
    }
    if (recording != nullptr) {
      Check(cudaGraphLaunch(recording->get(), stream), "replaying kernels");
    } else {
      Check(LaunchAll(), "launching a kernel");
    }
    launches.Clear();
  }
};

Runtime::Runtime(std::unique_ptr<State> state) : state_(std::move(state)) {}

Runtime::~Runtime() = default;

Runtime::Opened Runtime::Open(int ordinal) {
  auto state = std::make_unique<State>();
  state->ordinal = ordinal;
  int count = 0;
  if (!state->Check(cudaGetDeviceCount(&count), "looking for CUDA devices")) {
    return {nullptr, state->error};
  }
  if (ordinal >= count) {
    return {nullptr, "there is no device " + std::to_string(ordinal) + ": CUDA has " +
                         std::to_string(count)};
  }
  cudaDeviceProp of_device;
  if (!state->Check(cudaGetDeviceProperties(&of_device, ordinal), "asking for the device")) {
    return {nullptr, state->error};
  }
  if (of_device.major < 8) {
    return {nullptr, "device " + std::to_string(ordinal) + ", " + of_device.name +
                         ", has compute capability " + std::to_string(of_device.major) + "." +
                         std::to_string(of_device.minor) + "; needed is 8.0"};
  }
  state->overlaps = of_device.major >= 9;
  state->multiprocessors = of_device.multiProcessorCount;
  if (!state->Bind() ||
      !state->Check(cudaStreamCreateWithFlags(&state->stream, cudaStreamNonBlocking),
                    "making a stream")) {
    return {nullptr, state->error};
  }
  return {std::unique_ptr<Runtime>(new Runtime(std::move(state))), {}};
}

DeviceProperties Runtime::properties() const {
  DeviceProperties properties;
  cudaDeviceProp of_device;
  size_t free = 0, total = 0;
  if (!state_->Bind() ||
      !state_->Check(cudaGetDeviceProperties(&of_device, state_->ordinal),
                     "asking for the device") ||
      !state_->Check(cudaMemGetInfo(&free, &total), "asking for memory")) {
    return properties;
  }
  properties.name = of_device.name;
  properties.major = of_device.major;
  properties.minor = of_device.minor;
  properties.free_bytes = static_cast<int64_t>(free);
  return properties;
}

int Runtime::multiprocessors() const { return state_->multiprocessors; }
bool Runtime::has_bulk_copies() const { return state_->overlaps; }

const std::string& Runtime::error() const { return state_->error; }

void* Runtime::Allocate(int64_t bytes) {
  void* memory = nullptr;
  if (bytes <= 0 || !state_->Bind()) return nullptr;
  const cudaError_t result = cudaMalloc(&memory, static_cast<size_t>(bytes));
  return state_->Taken(result, memory, "taking memory of the device");
}

void Runtime::Free(void* memory) {
  if (memory == nullptr || !state_->Bind()) return;
  state_->Flush();  // it may be what kernels wait to use; CUDA waits for those that run
  cudaFree(memory);
}

void* Runtime::AllocateHost(int64_t bytes) {
  void* memory = nullptr;
  if (bytes <= 0 || !state_->Bind()) return nullptr;
  const cudaError_t result = cudaMallocHost(&memory, static_cast<size_t>(bytes));
  return state_->Taken(result, memory, "taking pinned memory");
}

void Runtime::FreeHost(void* memory) {
  if (memory != nullptr && state_->Bind()) cudaFreeHost(memory);
}

void Runtime::CopyToDevice(void* to, const void* from, int64_t bytes) {
  if (bytes <= 0 || !state_->Bind()) return;
  state_->Flush();
  state_->Check(
      cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, state_->stream),
      "copying to the device");
}

void Runtime::CopyToHost(void* to, const void* from, int64_t bytes) {
  if (bytes <= 0 || !state_->Bind()) return;
  state_->Flush();
  state_->Check(
      cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, state_->stream),
      "copying from the device");
}

void Runtime::SetZero(void* to, int64_t bytes) {
  if (bytes <= 0 || !state_->Bind()) return;
  state_->Flush();
  state_->Check(cudaMemsetAsync(to, 0, static_cast<size_t>(bytes), state_->stream),
                "clearing memory of the device");
}

void Runtime::Wait() {
  if (!state_->Bind()) return;
  state_->Flush();
  state_->Check(cudaStreamSynchronize(state_->stream), "waiting for the device");
}

void Runtime::LaunchKernel(const void* kernel, const LaunchShape& shape,
                           std::span<const LaunchArgument> arguments) {
  if (!state_->error.empty()) return;
  // More shared memory than every device has must be asked for, once for each kernel.
  constexpr size_t kAlwaysThere = 48 << 10;
  if (shape.shared_bytes > kAlwaysThere && state_->with_much_shared.insert(kernel).second) {
    constexpr int kMost = 99 << 10;  // of the smallest device that runs this
    if (!state_->Bind() ||
        !state_->Check(
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kMost),
            "asking for shared memory")) {
      return;
    }
  }
  state_->launches.Add(kernel, shape, arguments);
}

}  // namespace dyad::kernels::cuda
