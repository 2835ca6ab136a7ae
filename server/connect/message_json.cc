// Names and types are checked here, for messages that say what is wrong; protobuf does the rest.
#include "server/connect/message_json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::json;

absl::Status CheckObject(const std::string& path, const json& object, const Descriptor& type);

template <typename T>
absl::Status CheckInteger(const std::string& path, const json& value) {
  T number = 0;
  // proto3 JSON writes numbers of 64 bits as strings.
  const bool is_text = value.is_string();
  const std::string text = is_text ? value.get<std::string>() : value.dump();
  const bool is_number = value.is_number_integer() || is_text;
  if (is_number && absl::SimpleAtoi(text, &number)) return absl::OkStatus();
  return WrongType(path, value,
                   absl::StrCat("a whole number in [", std::numeric_limits<T>::min(), ", ",
                                std::numeric_limits<T>::max(), "]"));
}

absl::Status CheckEnum(const std::string& path, const json& value, const FieldDescriptor& field) {
  std::vector<std::string> names;
  for (int i = 0; i < field.enum_type()->value_count(); ++i) {
    names.push_back(field.enum_type()->value(i)->name());
    if (value == names.back() || value == field.enum_type()->value(i)->number()) {
      return absl::OkStatus();
    }
  }
  return WrongType(path, value, absl::StrCat("one of ", absl::StrJoin(names, ", ")));
}

absl::Status CheckValue(const std::string& path, const json& value, const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return CheckInteger<int32_t>(path, value);
    case FieldDescriptor::CPPTYPE_INT64:
      return CheckInteger<int64_t>(path, value);
    case FieldDescriptor::CPPTYPE_UINT32:
      return CheckInteger<uint32_t>(path, value);
    case FieldDescriptor::CPPTYPE_UINT64:
      return CheckInteger<uint64_t>(path, value);
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return value.is_number() ? absl::OkStatus() : WrongType(path, value, "a number");
    case FieldDescriptor::CPPTYPE_BOOL:
      return value.is_boolean() ? absl::OkStatus() : WrongType(path, value, "true or false");
    case FieldDescriptor::CPPTYPE_ENUM:
      return CheckEnum(path, value, field);
    case FieldDescriptor::CPPTYPE_STRING:
      return value.is_string() ? absl::OkStatus() : WrongType(path, value, "a string");
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CheckObject(path, value, *field.message_type());
  }
  return absl::OkStatus();
}

absl::Status CheckField(const std::string& path, const json& value, const FieldDescriptor& field) {
  if (value.is_null()) return absl::OkStatus();
  if (field.is_map()) {
    if (!value.is_object()) return WrongType(path, value, "an object");
    const FieldDescriptor& key = *field.message_type()->map_key();
    for (const auto& [name, entry] : value.items()) {
      RETURN_IF_ERROR(CheckValue(absl::StrCat(path, " key"), name, key));
      RETURN_IF_ERROR(CheckValue(absl::StrCat(path, "[", Shortened(name, 100), "]"), entry,
                                 *field.message_type()->map_value()));
    }
    return absl::OkStatus();
  }
  if (!field.is_repeated()) return CheckValue(path, value, field);
  if (!value.is_array()) return WrongType(path, value, "a list");
  for (size_t i = 0; i < value.size(); ++i) {
    RETURN_IF_ERROR(CheckValue(absl::StrCat(path, "[", i, "]"), value[i], field));
  }
  return absl::OkStatus();
}

absl::Status CheckObject(const std::string& path, const json& object, const Descriptor& type) {
  if (!object.is_object()) return WrongType(path, object, "an object");
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  std::vector<const FieldDescriptor*> seen;
  for (const auto& [name, value] : object.items()) {
    const FieldDescriptor* field = type.FindFieldByName(name);
    if (field == nullptr) field = type.FindFieldByCamelcaseName(name);
    const std::string at = path.empty() ? "" : path + ".";
    if (field == nullptr) return UnknownName(at + Shortened(name, 100), name, names);
    // Under both of its names, or two of those of which only one may be set.
    for (const FieldDescriptor* other : seen) {
      if (other == field)
        return InvalidField({at + field->name(), "given twice", "once is enough"});
      const auto* oneof = field->real_containing_oneof();
      if (oneof != nullptr && oneof == other->real_containing_oneof()) {
        return InvalidField({at + field->name(), "set beside " + other->name(), "only one may be"});
      }
    }
    if (!value.is_null()) seen.push_back(field);
    RETURN_IF_ERROR(CheckField(at + field->name(), value, *field));
  }
  return absl::OkStatus();
}

// Protobuf writes −0.0 as -0, which readers of JSON, its own among them, take for a whole number:
// for 0.
std::string WithSignsOfZero(std::string_view text) {
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (in_string && text[i] == '\\') {
      result += text[++i];
    } else if (text[i] == '"') {
      in_string = !in_string;
    } else if (!in_string && text[i] == '0' && i > 0 && text[i - 1] == '-' && i + 1 < text.size() &&
               std::string_view(",]}").find(text[i + 1]) != std::string_view::npos) {
      result += ".0";
    }
  }
  return result;
}

}  // namespace

absl::Status ReadMessageJson(std::string_view text, google::protobuf::Message& message) {
  ASSIGN_OR_RETURN(const json body, ReadJsonBody(text));
  RETURN_IF_ERROR(CheckObject("", body, *message.GetDescriptor()));
  const auto status = google::protobuf::util::JsonStringToMessage(
      {text.data(), text.size()}, &message, google::protobuf::util::JsonParseOptions());
  if (status.ok()) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(
                        absl::StrCat("the body is no ", message.GetDescriptor()->full_name(), ": ",
                                     Shortened(std::string(status.message()), 200))),
                    "INVALID_JSON");
}

absl::StatusOr<std::string> WriteMessageJson(const google::protobuf::Message& message) {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (status.ok()) return WithSignsOfZero(json);
  return absl::InternalError(
      absl::StrCat("the answer cannot be written as JSON: ", std::string(status.message())));
}

}  // namespace dyad
