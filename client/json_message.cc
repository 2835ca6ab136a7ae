// By reflection: a new field of the proto needs no code here.
#include "client/json_message.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

absl::Status Fault(const std::string& name, const Json& value, const std::string& expected) {
  constexpr size_t kShown = 60;
  std::string text = FormatLine(value);
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return absl::InvalidArgumentError(absl::StrCat(name, " is ", text, "; it must be ", expected));
}

template <typename Integer>
absl::StatusOr<Integer> ToInteger(const std::string& name, const Json& value) {
  using Limits = std::numeric_limits<Integer>;
  const absl::Status fault =
      Fault(name, value, absl::StrCat("an integer from ", Limits::min(), " to ", Limits::max()));
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(Limits::max())) return fault;
    return static_cast<Integer>(number);
  }
  // Of this library's integers these are the negative ones.
  if (value.is_number_integer()) {
    const auto number = value.get<int64_t>();
    if (number < static_cast<int64_t>(Limits::min())) return fault;
    return static_cast<Integer>(number);
  }
  // 16.0 and 1e3 are whole. 2 to the 53rd is exact in a double.
  if (!value.is_number_float()) return fault;
  const auto number = value.get<double>();
  if (number != std::floor(number) || std::abs(number) > 0x1p53) return fault;
  return ToInteger<Integer>(name, Json(static_cast<int64_t>(number)));
}

// Without its enum's name in front.
std::string Word(const EnumValueDescriptor& value) {
  std::string prefix;
  for (const char c : value.type()->name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  prefix += '_';
  return value.name().substr(prefix.size());
}

absl::StatusOr<int> ToEnum(const std::string& name, const Json& value,
                           const EnumDescriptor& descriptor) {
  std::vector<std::string> words;
  for (int i = 0; i < descriptor.value_count(); ++i) {
    const EnumValueDescriptor& candidate = *descriptor.value(i);
    if (candidate.number() == 0) continue;  // unspecified
    words.push_back(Word(candidate));
    if (value.is_string() && value.get<std::string>() == words.back()) return candidate.number();
  }
  return Fault(name, value, absl::StrJoin(words, " or "));
}

absl::Status SetField(const std::string& name, const Json& value, const FieldDescriptor& field,
                      Message& message);

// One value of a field that is none of lists and maps.
absl::Status SetValue(const std::string& name, const Json& value, const FieldDescriptor& field,
                      Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const auto put = [&](auto set, auto add, const auto& read) {
    if (field.is_repeated()) {
      (reflection.*add)(&message, &field, read);
    } else {
      (reflection.*set)(&message, &field, read);
    }
    return absl::OkStatus();
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      ASSIGN_OR_RETURN(const int32_t number, ToInteger<int32_t>(name, value));
      return put(&Reflection::SetInt32, &Reflection::AddInt32, number);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      ASSIGN_OR_RETURN(const int64_t number, ToInteger<int64_t>(name, value));
      return put(&Reflection::SetInt64, &Reflection::AddInt64, number);
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      ASSIGN_OR_RETURN(const uint64_t number, ToInteger<uint64_t>(name, value));
      return put(&Reflection::SetUInt64, &Reflection::AddUInt64, number);
    }
    case FieldDescriptor::CPPTYPE_FLOAT:
      if (!value.is_number() ||
          !(std::abs(value.get<double>()) <= std::numeric_limits<float>::max())) {
        return Fault(name, value, "a number of at most 3.4e38");
      }
      return put(&Reflection::SetFloat, &Reflection::AddFloat, value.get<float>());
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!value.is_boolean()) return Fault(name, value, "true or false");
      return put(&Reflection::SetBool, &Reflection::AddBool, value.get<bool>());
    case FieldDescriptor::CPPTYPE_STRING:
      if (!value.is_string()) return Fault(name, value, "a string");
      if (field.is_repeated()) {
        reflection.AddString(&message, &field, value.get<std::string>());
      } else {
        reflection.SetString(&message, &field, value.get<std::string>());
      }
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_ENUM: {
      ASSIGN_OR_RETURN(const int number, ToEnum(name, value, *field.enum_type()));
      return put(&Reflection::SetEnumValue, &Reflection::AddEnumValue, number);
    }
    default:  // TokenIds
      return SetField(name, value, *field.message_type()->field(0),
                      *reflection.MutableMessage(&message, &field));
  }
}

// JSON has strings as keys; those of our maps are ids.
absl::Status SetMap(const std::string& name, const Json& value, const FieldDescriptor& field,
                    Message& message) {
  if (!value.is_object()) return Fault(name, value, "an object: {\"ID\": NUMBER}");
  const google::protobuf::Descriptor& entry = *field.message_type();
  for (const auto& [key, member] : value.items()) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(key, &id)) return Fault("a key of " + name, key, "a token id");
    Message& added = *message.GetReflection()->AddMessage(&message, &field);
    RETURN_IF_ERROR(SetValue(name, id, *entry.map_key(), added));
    RETURN_IF_ERROR(SetValue(absl::StrCat(name, "[", key, "]"), member, *entry.map_value(), added));
  }
  return absl::OkStatus();
}

absl::Status SetField(const std::string& name, const Json& value, const FieldDescriptor& field,
                      Message& message) {
  if (field.is_map()) return SetMap(name, value, field, message);
  if (!field.is_repeated()) return SetValue(name, value, field, message);
  if (!value.is_array()) return Fault(name, value, "a list");
  for (size_t i = 0; i < value.size(); ++i) {
    RETURN_IF_ERROR(SetValue(absl::StrCat(name, "[", i, "]"), value[i], field, message));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SetFields(const Json& fields, Message& message) {
  for (const auto& [name, value] : fields.items()) {
    const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return absl::InvalidArgumentError(absl::StrCat("no option ", name));
    if (value.is_null()) continue;
    RETURN_IF_ERROR(SetField(name, value, *field, message));
  }
  return absl::OkStatus();
}

std::string EnumWord(const EnumDescriptor& type, int value) {
  const EnumValueDescriptor* named = type.FindValueByNumber(value);
  return named == nullptr ? absl::StrCat(value) : Word(*named);
}

}  // namespace dyad::client
