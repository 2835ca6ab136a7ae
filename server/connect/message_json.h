// Messages of the API as proto3 JSON.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace dyad {

// Fills `message`, which is empty. Fields are called as in the .proto file or in lowerCamelCase;
// null counts as absent. Nothing is dropped: an unknown name, a key that stands twice and a value
// of another type are errors. Errors: InvalidField; InvalidArgument INVALID_JSON.
absl::Status ReadMessageJson(std::string_view text, google::protobuf::Message& message);

// With the names of the .proto file. Fields that have their default are left out, 64-bit whole
// numbers are strings, floats are the shortest decimals that read back to them.
absl::StatusOr<std::string> WriteMessageJson(const google::protobuf::Message& message);

}  // namespace dyad
