// dyadctl health: whether the server is ready, by exit status, within 2 s.
#include "absl/strings/str_cat.h"
#include "client/commands.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Leaves half a second of the promised two for starting and ending the process.
constexpr absl::Duration kTimeLimit = absl::Milliseconds(1500);

absl::StatusOr<int> RunHealth(const Arguments& arguments, const Console& console) {
  ConnectionOptions options = ConnectionFrom(arguments);
  // A channel that waits for readiness could only ever say yes.
  options.readiness = Readiness::kIgnored;
  ASSIGN_OR_RETURN(auto channel, Connect(options));
  const Client client(std::move(channel), kTimeLimit);
  const std::string service = arguments.Text("service", "readiness");
  const auto health = client.Health(service);
  if (arguments.On("json")) {
    Json answer = {{"service", service}, {"status", health.ok() ? *health : "UNREACHABLE"}};
    if (!health.ok()) answer.update(ErrorJson(health.status()));
    console.out << FormatLine(answer) << '\n';
    return health.ok() && *health == "SERVING" ? 0 : 1;
  }
  RETURN_IF_ERROR(health.status());
  console.out << service << " " << *health << '\n';
  return *health == "SERVING" ? 0 : 1;
}

}  // namespace

Command HealthCommand() {
  return {.name = "health",
          .usage = "[--service=NAME]",
          .summary = "Exit status 0 if the server is ready to serve, else 1, within 2 s",
          .text = "NAME is readiness (default), liveness or a model's name.\n",
          .flags = {{"service", FlagKind::kValue, "NAME", "Health service to ask for"}},
          .takes_batches = false,
          .run = &RunHealth};
}

}  // namespace dyad::client
