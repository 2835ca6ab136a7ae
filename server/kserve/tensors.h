// Tensors of the Open Inference Protocol: what a request gives, and what its answer says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "inference/open_inference_grpc.pb.h"

namespace dyad {

// The inputs of a request, given as lists or as raw bytes. Every error is InvalidField, named by
// the tensor.
class InputTensors {
 public:
  // Errors: a name twice, a datatype that no input has, a shape that is not that of the contents,
  // raw contents of some only, text that is no UTF-8, a parameter.
  static absl::StatusOr<InputTensors> Read(const inference::ModelInferRequest& request);

  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  // An error for the first that is none of `names`.
  absl::Status CheckNames(const std::vector<std::string>& names) const;

  // REQUIRES of these: Has(name).
  absl::StatusOr<std::vector<std::string>> Texts(std::string_view name) const;  // BYTES [k]
  absl::StatusOr<std::vector<int64_t>> Ids(
      std::string_view name) const;                        // INT32, INT64; [n], [1, n]
  absl::StatusOr<bool> Flag(std::string_view name) const;  // BOOL [1]

 private:
  struct Tensor {
    std::string name;
    std::string datatype;
    std::vector<int64_t> shape;
    std::vector<std::string> texts;  // BYTES
    std::vector<int64_t> numbers;    // the others

    // Error that says what the tensor is, and `limit`.
    absl::Status Wrong(std::string limit) const;
  };

  static absl::StatusOr<Tensor> ReadTensor(
      const inference::ModelInferRequest::InferInputTensor& given, const std::string* raw);
  const Tensor* Find(std::string_view name) const;

  std::vector<Tensor> tensors_;
};

// Adds tensors [k] to a response, as lists or raw.
class OutputTensors {
 public:
  enum class As { kLists, kRaw };
  OutputTensors(inference::ModelInferResponse& response, As as) : response_(response), as_(as) {}

  void AddTexts(const std::string& name, const std::vector<std::string>& values);
  void AddDoubles(const std::string& name, const std::vector<double>& values);
  void AddInts(const std::string& name, const std::vector<int32_t>& values);
  void AddCounts(const std::string& name, const std::vector<uint32_t>& values);
  void AddFlags(const std::string& name, const std::vector<bool>& values);

 private:
  inference::InferTensorContents* Add(const std::string& name, const char* datatype, size_t count,
                                      std::string raw);

  inference::ModelInferResponse& response_;
  const As as_;
};

}  // namespace dyad
