// dyad-bench engine FOLDER: the load of `server` on an engine in this process, to see what gRPC
// costs.
#include <string>

#include "absl/flags/flag.h"
#include "kernels/devices.h"
#include "server/base/status_macros.h"
#include "server/engine/engine.h"
#include "tests/bench/commands.h"
#include "tests/bench/engine_target.h"
#include "tests/bench/flag_values.h"
#include "tests/bench/load_flags.h"
#include "tests/bench/load_report.h"
#include "tests/bench/model_flags.h"
#include "tests/bench/sampling_flags.h"
#include "tests/server/engine/counting_metrics.h"

ABSL_FLAG(std::string, prefix_cache, "on", "engine: on or off");

namespace dyad::bench {

using engine::PrefixCache;

absl::Status RunEngine(Operands operands) {
  ASSIGN_OR_RETURN(LoadOptions load, LoadFromFlags());
  ASSIGN_OR_RETURN(const engine::Sampling sampling, SamplingFromFlags());
  engine::EngineOptions options;
  ASSIGN_OR_RETURN(options.prefix_cache,
                   ChooseWord<PrefixCache>("prefix_cache", absl::GetFlag(FLAGS_prefix_cache),
                                           {{"on", PrefixCache::kOn}, {"off", PrefixCache::kOff}}));
  ASSIGN_OR_RETURN(const ModelOptions model_options, ModelFromFlags());
  // As the server does.
  auto device = kernels::MakeCpuDevice({.threads = absl::GetFlag(FLAGS_threads),
                                        .population = kernels::KvPopulation::kInBackground,
                                        .arithmetic = *model_options.arithmetic});
  ASSIGN_OR_RETURN(const LoadedModel loaded,
                   LoadModel(operands[0], model_options, std::move(device)));
  load.vocab_size = loaded.model->limits().vocab_size;
  RETURN_IF_ERROR(CheckFits(load, operands[0], loaded.model->limits().context_length));
  testing::CountingMetrics metrics;
  engine::Engine engine(*loaded.model, options, metrics);
  const std::unique_ptr<Target> target[] = {EngineTarget(engine, sampling)};
  return ReportLoad(load, RunLoad(load, target),
                    {{"model", operands[0]}, {"weight_dtype", loaded.info.weight_dtype}});
}

}  // namespace dyad::bench
