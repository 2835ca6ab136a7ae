// Flags of a model: tests/bench/model_flags.h.
#include "tests/bench/model_flags.h"

#include <string>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "server/base/status_macros.h"
#include "tests/bench/flag_values.h"

ABSL_FLAG(std::string, kv_dtype, "float32",
          "attention, model, engine: of keys and values, float32, bfloat16 or int8");
ABSL_DECLARE_FLAG(std::string, weight_dtype);
ABSL_DECLARE_FLAG(std::string, arithmetic);

namespace dyad::bench {

absl::StatusOr<ModelOptions> ModelFromFlags() {
  ModelOptions options;
  ASSIGN_OR_RETURN(options.weight_dtype,
                   ChooseWord<WeightDtype>("weight_dtype", absl::GetFlag(FLAGS_weight_dtype),
                                           {{"float32", WeightDtype::kFloat32},
                                            {"bfloat16", WeightDtype::kBfloat16},
                                            {"float16", WeightDtype::kFloat16},
                                            {"int8", WeightDtype::kInt8}}));
  ASSIGN_OR_RETURN(options.kv_dtype,
                   ChooseWord<kernels::KvType>("kv_dtype", absl::GetFlag(FLAGS_kv_dtype),
                                               {{"float32", kernels::KvType::kFloat32},
                                                {"bfloat16", kernels::KvType::kBfloat16},
                                                {"int8", kernels::KvType::kInt8}}));
  ASSIGN_OR_RETURN(options.arithmetic, ArithmeticFromFlags());
  return options;
}

absl::StatusOr<kernels::Arithmetic> ArithmeticFromFlags() {
  using kernels::Arithmetic;
  return ChooseWord<Arithmetic>("arithmetic", absl::GetFlag(FLAGS_arithmetic),
                                {{"exact", Arithmetic::kExact},
                                 {"integer24", Arithmetic::kInteger24},
                                 {"integer16", Arithmetic::kInteger16},
                                 {"integer8", Arithmetic::kInteger8},
                                 {"bfloat16", Arithmetic::kBfloat16}});
}

}  // namespace dyad::bench
