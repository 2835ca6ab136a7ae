// dyad-bench roof: what this machine reads and multiplies per second.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/thread_pool.h"
#include "tests/bench/commands.h"
#include "tests/bench/roof_report.h"

namespace dyad::bench {

nlohmann::json ToJson(const Roof& roof) {
  return {{"threads", absl::GetFlag(FLAGS_threads)},
          {"cpu_isa", kernels::CurrentIsa()},
          {"read_bytes_per_second", roof.read_bytes_per_second},
          {"sgemm_flops_per_second", roof.flops_per_second}};
}

void PrintRoof(const Roof& roof) {
  std::printf("%d threads, %s: reads %.1f GB/s, sgemm %.1f GFLOP/s\n", absl::GetFlag(FLAGS_threads),
              std::string(kernels::CurrentIsa()).c_str(), roof.read_bytes_per_second * 1e-9,
              roof.flops_per_second * 1e-9);
}

absl::Status RunRoof(Operands) {
  kernels::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const std::vector<ReadRate> rates = MeasureReadBySize(pool);
  const Roof roof = MeasureRoof(pool);
  if (absl::GetFlag(FLAGS_json)) {
    nlohmann::json json = ToJson(roof);
    for (const ReadRate& rate : rates) {
      json["read_by_size"].push_back(
          {{"bytes", rate.bytes}, {"bytes_per_second", rate.bytes_per_second}});
    }
    std::cout << json.dump() << "\n";
    return absl::OkStatus();
  }
  PrintRoof(roof);
  for (const ReadRate& rate : rates) {
    std::printf("%10.2f MiB %8.1f GB/s\n", static_cast<double>(rate.bytes) / (1 << 20),
                rate.bytes_per_second * 1e-9);
  }
  return absl::OkStatus();
}

}  // namespace dyad::bench
