// dyadctl health: whether the server is ready, by exit status, within 2 s.
#include "client/command.h"
#include "client/commands.h"
#include "client/server_address.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Leaves half a second of the promised two for starting and ending the process.
constexpr absl::Duration kTimeLimit = absl::Milliseconds(1500);

class HealthOf final : public Command {
 public:
  using Command::Command;

  void AddFlags(CLI::App& app) override {
    AddFlag(app, "service", "NAME", service_, "Health service to ask for");
    Command::AddFlags(app);
  }

  absl::StatusOr<int> Run(const Console& console) override {
    // A channel that waits for readiness could only ever say yes.
    connection_.readiness = Readiness::kIgnored;
    ASSIGN_OR_RETURN(auto channel, Connect(connection_));
    const auto health = Client(std::move(channel), kTimeLimit).Health(service_);
    if (json_) {
      Json answer = {{"service", service_}, {"status", health.ok() ? *health : "UNREACHABLE"}};
      if (!health.ok()) answer.update(ErrorJson(ExplainUnreachable(health.status(), connection_)));
      console.out << FormatLine(answer) << '\n';
    } else {
      RETURN_IF_ERROR(health.status());
      console.out << service_ << " " << *health << '\n';
    }
    return health.ok() && *health == "SERVING" ? 0 : 1;
  }

 private:
  std::string service_ = "readiness";
};

}  // namespace

std::unique_ptr<Command> HealthCommand() {
  return std::make_unique<HealthOf>(
      CommandHelp{"health", "[--service=NAME]",
                  "Exit status 0 if the server is ready to serve, else 1, within 2 s",
                  "NAME is readiness (default), liveness or a model's name.\n", WordsAre::kNone});
}

}  // namespace dyad::client
