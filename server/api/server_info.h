// What the server says of itself. proto/dyad/v1/server.proto describes each field.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dyad {

struct ServerInfo {
  std::string version;
  std::string commit;
  std::string transport;
  std::string device;
  std::vector<std::string> features;
  std::vector<std::pair<std::string, int64_t>> limits;  // by flag
};

}  // namespace dyad
