// dyad-bench server ADDR: load on a running server, closed loop or Poisson arrivals.
#include <algorithm>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "server/base/status_macros.h"
#include "tests/bench/commands.h"
#include "tests/bench/flag_values.h"
#include "tests/bench/http_target.h"
#include "tests/bench/load_flags.h"
#include "tests/bench/load_report.h"
#include "tests/bench/sampling_flags.h"
#include "tests/bench/server_target.h"

ABSL_FLAG(std::string, served_model, "", "server: the model's name; empty: the only one");
ABSL_FLAG(std::string, http, "",
          "server: HOST:PORT of the HTTP door, which gets the load; ADDR tells of the model");
ABSL_FLAG(int, connections, 4, "server: connections that the requests share, 1 to 256");
ABSL_FLAG(double, timeout_s, 60, "server: seconds that a request may take, 0.001 to 3600");

namespace dyad::bench {

absl::Status RunServer(Operands operands) {
  RETURN_IF_ERROR(CheckRange("connections", FLAGS_connections, {1, 256}));
  RETURN_IF_ERROR(CheckRange("timeout_s", FLAGS_timeout_s, {1e-3, 3600}));
  ASSIGN_OR_RETURN(LoadOptions options, LoadFromFlags());
  ASSIGN_OR_RETURN(const engine::Sampling sampling, SamplingFromFlags());
  const std::string address = operands[0];
  ASSIGN_OR_RETURN(const v1::Model model, FindModel(address, absl::GetFlag(FLAGS_served_model)));
  options.vocab_size = model.vocab_size();
  RETURN_IF_ERROR(CheckFits(options, model.name(), model.context_length()));
  const std::string http = absl::GetFlag(FLAGS_http);
  const bool is_http = !http.empty();
  const int connections =
      is_http ? options.in_flight : std::min(absl::GetFlag(FLAGS_connections), options.in_flight);
  const ServerTargetOptions to = {.address = is_http ? http : address,
                                  .model = model.name(),
                                  .connections = connections,
                                  .timeout = absl::Seconds(absl::GetFlag(FLAGS_timeout_s)),
                                  .sampling = sampling};
  std::vector<std::unique_ptr<Target>> targets;
  if (is_http) {
    targets.push_back(HttpTarget(to));
  } else {
    ASSIGN_OR_RETURN(targets, ServerTargets(to));
  }
  return ReportLoad(options, RunLoad(options, targets),
                    {{"model", model.name()},
                     {"model_digest", model.digest()},
                     {"weight_dtype", model.weight_dtype()},
                     {"door", is_http ? "http" : "grpc"},
                     {"connections", connections}});
}

}  // namespace dyad::bench
