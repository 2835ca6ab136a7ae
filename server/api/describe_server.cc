// ServerInfo -> v1::GetServerInfoResponse.
#include "server/api/describe_server.h"

namespace dyad {

absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo(const v1::GetServerInfoRequest&,
                                                        Call& call) {
  const ServerInfo& info = call.state().info;
  v1::GetServerInfoResponse response;
  response.set_version(info.version);
  response.set_commit(info.commit);
  response.set_transport(info.transport);
  response.set_device(info.device);
  for (const std::string& feature : info.features) response.add_features(feature);
  for (const auto& [flag, value] : info.limits) (*response.mutable_limits())[flag] = value;
  return response;
}

}  // namespace dyad
