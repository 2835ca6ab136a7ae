// JSON to protobuf messages, by the proto's own names. protobuf's JSON reader would do it with less
// code; its messages name types of C++, and it reads the string "7" as a number.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "google/protobuf/generated_enum_reflection.h"
#include "google/protobuf/message.h"

namespace dyad::client {

// Sets the named fields of `message`; null leaves a field as it is. Lists stand for repeated fields
// and for TokenIds, an object for a map; a value of an enum goes by its word, without the enum's
// name in front. Errors: InvalidArgument naming field, value and what it must be.
absl::Status SetFields(const Json& fields, google::protobuf::Message& message);

template <typename Message>
absl::StatusOr<Message> MessageFromJson(const Json& fields) {
  Message message;
  if (const absl::Status status = SetFields(fields, message); !status.ok()) return status;
  return message;
}

// Names of all fields of Message.
template <typename Message>
std::vector<std::string> FieldNames() {
  std::vector<std::string> names;
  const google::protobuf::Descriptor& descriptor = *Message::descriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) names.push_back(descriptor.field(i)->name());
  return names;
}

// A value of an enum as people write it: "LM_EVAL" for CONVENTION_LM_EVAL. A number that names no
// value stays a number.
std::string EnumWord(const google::protobuf::EnumDescriptor& type, int value);

template <typename Enum>
std::string EnumWord(Enum value) {
  return EnumWord(*google::protobuf::GetEnumDescriptor<Enum>(), value);
}

}  // namespace dyad::client
