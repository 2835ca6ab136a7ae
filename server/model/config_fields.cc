// Keys that several networks read alike.
#include "server/model/config_fields.h"

#include <string>

#include "server/base/message_text.h"

namespace dyad {

using kernels::Activation;

Activation ReadActivation(JsonFields& fields, std::string_view key, std::string_view otherwise) {
  constexpr struct {
    std::string_view name;
    Activation activation;
  } kNames[] = {{"relu", Activation::kRelu},
                {"gelu", Activation::kGelu},
                {"gelu_python", Activation::kGelu},
                {"gelu_new", Activation::kGeluTanh},
                {"gelu_fast", Activation::kGeluTanh},
                {"gelu_pytorch_tanh", Activation::kGeluTanh},
                {"gelu_accurate", Activation::kGeluTanh}};
  const std::string name = fields.String(key, otherwise);
  for (const auto& known : kNames) {
    if (name == known.name) return known.activation;
  }
  fields.Fault(key,
               "relu, gelu, gelu_python, gelu_new, gelu_fast, gelu_pytorch_tanh or gelu_accurate");
  return Activation::kNone;
}

void RequireHeadsDivide(JsonFields& fields, int64_t hidden_size, int64_t heads) {
  // Only once the numbers themselves are right.
  if (!fields.status().ok() || hidden_size % heads == 0) return;
  fields.Fault("num_attention_heads", Text("a divisor of hidden_size ", hidden_size));
}

}  // namespace dyad
