// The protocol's JSON form.
#include "server/kserve/infer_json.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

using nlohmann::json;
using Json = nlohmann::ordered_json;
using Parameters = google::protobuf::Map<std::string, inference::InferParameter>;

absl::Status ReadParameters(const std::string& path, const json& object, Parameters& parameters) {
  if (!object.is_object()) return WrongType(path, object, "an object");
  for (const auto& [name, value] : object.items()) {
    inference::InferParameter parameter;
    if (value.is_boolean()) {
      parameter.set_bool_param(value.get<bool>());
    } else if (value.is_number_unsigned()) {
      parameter.set_uint64_param(value.get<uint64_t>());
    } else if (value.is_number_integer()) {
      parameter.set_int64_param(value.get<int64_t>());
    } else if (value.is_number()) {
      parameter.set_double_param(value.get<double>());
    } else if (value.is_string()) {
      parameter.set_string_param(value.get<std::string>());
    } else {
      return WrongType(absl::StrCat(path, ".", Shortened(name, 100)), value,
                       "a number, a string, true or false");
    }
    parameters[name] = std::move(parameter);
  }
  return absl::OkStatus();
}

// A list of one kind, nested lists in row order.
absl::Status ReadData(const std::string& path, const json& data, const std::string& datatype,
                      inference::InferTensorContents& contents) {
  if (data.is_array()) {
    for (const json& element : data) RETURN_IF_ERROR(ReadData(path, element, datatype, contents));
    return absl::OkStatus();
  }
  if (datatype == "BYTES") {
    if (!data.is_string()) return WrongType(path, data, "a string");
    contents.add_bytes_contents(data.get<std::string>());
  } else if (datatype == "BOOL") {
    if (!data.is_boolean()) return WrongType(path, data, "true or false");
    contents.add_bool_contents(data.get<bool>());
  } else if (datatype == "INT32" || datatype == "INT64") {
    const bool is_whole = data.is_number_integer() &&
                          (!data.is_number_unsigned() || data.get<uint64_t>() <= INT64_MAX);
    const int64_t number = is_whole ? data.get<int64_t>() : 0;
    if (!is_whole || (datatype == "INT32" && number != static_cast<int32_t>(number))) {
      return WrongType(path, data, "a whole number of " + datatype);
    }
    if (datatype == "INT32") contents.add_int_contents(static_cast<int32_t>(number));
    if (datatype == "INT64") contents.add_int64_contents(number);
  } else {
    return WrongType(path, data, "BYTES, BOOL, INT32 or INT64");
  }
  return absl::OkStatus();
}

// The same error of a field within a tensor.
absl::Status InTensor(const std::string& path, const absl::Status& status) {
  return WithFieldNames(
      status, [&](std::string_view field) { return absl::StrCat(path, ".", std::string(field)); });
}

absl::Status ReadShape(const std::string& path, const json& list,
                       google::protobuf::RepeatedField<int64_t>& shape) {
  if (!list.is_array()) return WrongType(path, list, "a list");
  for (const json& size : list) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > INT32_MAX) {
      return WrongType(path, size, "a whole number in [0, 2147483647]");
    }
    shape.Add(size.get<int64_t>());
  }
  return absl::OkStatus();
}

absl::Status ReadTensor(const std::string& path, const json& object,
                        inference::ModelInferRequest::InferInputTensor& tensor) {
  if (!object.is_object()) return WrongType(path, object, "an object");
  RETURN_IF_ERROR(
      InTensor(path, CheckNames(object, {"name", "shape", "datatype", "parameters", "data"})));
  const auto read = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*tensor.mutable_name(), StringOr(object, "name", ""));
    ASSIGN_OR_RETURN(*tensor.mutable_datatype(), StringOr(object, "datatype", ""));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(InTensor(path, read()));
  if (object.contains("parameters")) {
    RETURN_IF_ERROR(
        ReadParameters(path + ".parameters", object["parameters"], *tensor.mutable_parameters()));
  }
  if (object.contains("shape")) {
    RETURN_IF_ERROR(ReadShape(path + ".shape", object["shape"], *tensor.mutable_shape()));
  }
  if (!object.contains("data") || !object["data"].is_array()) {
    return InvalidField({path + ".data", "no list", "is needed; binary tensors are not offered"});
  }
  return ReadData(path + ".data", object["data"], tensor.datatype(), *tensor.mutable_contents());
}

absl::Status ReadTensor(const std::string& path, const json& object,
                        inference::ModelInferRequest::InferRequestedOutputTensor& tensor) {
  if (!object.is_object()) return WrongType(path, object, "an object");
  RETURN_IF_ERROR(InTensor(path, CheckNames(object, {"name", "parameters"})));
  const absl::StatusOr<std::string> name = StringOr(object, "name", "");
  RETURN_IF_ERROR(InTensor(path, name.status()));
  tensor.set_name(*name);
  if (!object.contains("parameters")) return absl::OkStatus();
  return ReadParameters(path + ".parameters", object["parameters"], *tensor.mutable_parameters());
}

template <typename Tensors>
absl::Status ReadTensors(const std::string& path, const json& list, Tensors& tensors) {
  if (!list.is_array()) return WrongType(path, list, "a list");
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(ReadTensor(absl::StrCat(path, "[", i, "]"), list[i], *tensors.Add()));
  }
  return absl::OkStatus();
}

template <typename Values>
Json ListOf(const Values& values) {
  Json list = Json::array();
  for (const auto& value : values) list.push_back(value);
  return list;
}

Json DataOf(const inference::InferTensorContents& contents) {
  if (!contents.bytes_contents().empty()) return ListOf(contents.bytes_contents());
  if (!contents.fp64_contents().empty()) return ListOf(contents.fp64_contents());
  if (!contents.int_contents().empty()) return ListOf(contents.int_contents());
  if (!contents.uint_contents().empty()) return ListOf(contents.uint_contents());
  return ListOf(contents.bool_contents());
}

}  // namespace

absl::StatusOr<inference::ModelInferRequest> ReadInferJson(const json& body) {
  RETURN_IF_ERROR(CheckNames(body, {"id", "parameters", "inputs", "outputs"}));
  inference::ModelInferRequest request;
  ASSIGN_OR_RETURN(*request.mutable_id(), StringOr(body, "id", ""));
  const auto given = [&](const char* name) {
    const auto found = body.find(name);
    return found == body.end() || found->is_null() ? nullptr : &*found;
  };
  if (const json* parameters = given("parameters")) {
    RETURN_IF_ERROR(ReadParameters("parameters", *parameters, *request.mutable_parameters()));
  }
  if (const json* inputs = given("inputs")) {
    RETURN_IF_ERROR(ReadTensors("inputs", *inputs, *request.mutable_inputs()));
  }
  if (const json* outputs = given("outputs")) {
    RETURN_IF_ERROR(ReadTensors("outputs", *outputs, *request.mutable_outputs()));
  }
  return request;
}

Json InferJson(const inference::ModelInferResponse& response) {
  Json outputs = Json::array();
  for (const auto& tensor : response.outputs()) {
    outputs.push_back({{"name", tensor.name()},
                       {"datatype", tensor.datatype()},
                       {"shape", ListOf(tensor.shape())},
                       {"data", DataOf(tensor.contents())}});
  }
  Json body = {{"model_name", response.model_name()}, {"model_version", response.model_version()}};
  if (!response.id().empty()) body["id"] = response.id();
  body["outputs"] = std::move(outputs);
  return body;
}

Json MetadataJson(const inference::ModelMetadataResponse& response) {
  const auto tensors = [](const auto& rows) {
    Json list = Json::array();
    for (const auto& row : rows) {
      list.push_back(
          {{"name", row.name()}, {"datatype", row.datatype()}, {"shape", ListOf(row.shape())}});
    }
    return list;
  };
  Json properties = Json::object();
  for (const char* name : {"digest", "structure", "weight_dtype", "arithmetic"}) {
    properties[name] = response.properties().at(name);
  }
  return {{"name", response.name()},
          {"versions", ListOf(response.versions())},
          {"platform", response.platform()},
          {"inputs", tensors(response.inputs())},
          {"outputs", tensors(response.outputs())},
          {"properties", std::move(properties)}};
}

}  // namespace dyad
